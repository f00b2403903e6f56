package io.github.edgeocr.desktop;

import io.github.edgeocr.Bundle;
import io.github.edgeocr.EdgeOcrException;
import io.github.edgeocr.FolderBundleFiles;
import io.github.edgeocr.Ocr;
import io.github.edgeocr.OcrOptions;
import io.github.edgeocr.OcrResult;
import io.github.edgeocr.TensorRunner;
import io.github.edgeocr.TextLine;
import io.github.edgeocr.litert.LiteRtRunner;
import io.github.edgeocr.measure.JsonText;
import io.github.edgeocr.measure.Probe;
import io.github.edgeocr.measure.ProbePlan;
import io.github.edgeocr.measure.RunFolder;
import java.io.File;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The pipeline of the phone on a desktop, with the same models through the same native code.
 *
 * <pre>
 * read    ADAPTER LITERT BUNDLE THREADS IMAGE...   one JSON object a line
 * measure ADAPTER LITERT FOLDER                    plan.json there becomes result.json there
 * </pre>
 */
public final class Desktop {
    private Desktop() {}

    public static void main(String[] arguments) throws Exception {
        System.exit(run(arguments));
    }

    private static int run(String[] arguments) throws IOException, InterruptedException {
        PrintStream out = new PrintStream(System.out, true, "UTF-8");
        boolean reads = arguments.length > 5 && arguments[0].equals("read");
        boolean measures = arguments.length == 4 && arguments[0].equals("measure");
        if (!reads && !measures) {
            System.err.println("usage: read ADAPTER LITERT BUNDLE THREADS IMAGE...");
            System.err.println("       measure ADAPTER LITERT FOLDER");
            return 2;
        }
        try {
            TensorRunner.Factory runtime = LiteRtRunner.load(arguments[1], arguments[2]);
            if (reads) {
                List<String> images = Arrays.asList(arguments).subList(5, arguments.length);
                read(runtime, new File(arguments[3]), Integer.parseInt(arguments[4]), images, out);
            } else {
                measure(runtime, new File(arguments[3]));
            }
            return 0;
        } catch (EdgeOcrException | IOException | NumberFormatException error) {
            System.err.println("desktop: " + error.getMessage());
            return 2;
        }
    }

    private static void read(
            TensorRunner.Factory runtime,
            File bundle,
            int threads,
            List<String> images,
            PrintStream out)
            throws IOException {
        OcrOptions options = new OcrOptions.Builder().setCharacters(true).build();
        Bundle opened = Bundle.open(new FolderBundleFiles(bundle));
        try (Ocr ocr = Ocr.open(opened, runtime, threads)) {
            for (String image : images) {
                OcrResult result = ocr.read(DesktopDevice.decode(new File(image)), options);
                Map<String, Object> document = new LinkedHashMap<>();
                document.put("image", image);
                document.put("lines", lines(result));
                document.put("timings_ms", result.getTimingsMillis());
                out.print(JsonText.of(document));
            }
        }
    }

    private static List<Object> lines(OcrResult result) {
        List<Object> lines = new ArrayList<>();
        for (TextLine line : result.getLines()) {
            List<Object> box = new ArrayList<>();
            for (int corner = 0; corner < 4; corner++) {
                box.add(
                        Arrays.<Object>asList(
                                line.getCornerPoints().x(corner),
                                line.getCornerPoints().y(corner)));
            }
            Map<String, Object> document = new LinkedHashMap<>();
            document.put("text", line.getText());
            document.put("score", line.getConfidence());
            document.put("box", box);
            document.put("rotation", line.getRotation());
            document.put("characters", line.getSymbols().size());
            lines.add(document);
        }
        return lines;
    }

    private static void measure(TensorRunner.Factory runtime, File folder)
            throws IOException, InterruptedException {
        byte[] plan = Files.readAllBytes(new File(folder, "plan.json").toPath());
        Probe probe =
                new Probe(
                        ProbePlan.parse(new String(plan, StandardCharsets.UTF_8)),
                        new DesktopDevice(runtime, folder),
                        new Probe.Progress() {
                            @Override
                            public void onStep(String text) {
                                System.err.println(text);
                            }
                        });
        new RunFolder(folder).finish(probe.run());
    }
}
