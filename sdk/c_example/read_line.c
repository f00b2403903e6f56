/* Reads one line of text with the recogniser of a bundle, in C, without Python.
 *
 *     read_line BUNDLE LINE.ppm [OUTPUT]
 *
 * LINE.ppm is a binary PPM (P6) as high as the recogniser wants lines, 48 pixels for PP-OCRv4.
 * The text goes to standard output; OUTPUT, if given, gets the network's output as it is.
 * Exit status: 0, or 2 with one line on standard error that says what is wrong.
 *
 * Four steps: choose the signature, fill its input, run, decode.
 */
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "litert.h"

/* How a pixel enters the network: (pixel / 255 - MEAN) / STD, blue first. bundle.json has these
 * under stages.rec as mean, std and channel_order; a bundle that states others needs others. */
static const double MEAN = 0.5, STD = 0.5;
static const int CHANNEL_OF_PPM[3] = {2, 1, 0};

enum { BLANK = 0, MOST_PIXELS = 64 * 1024 * 1024 };

typedef struct {
    int height, width;
    uint8_t *pixels; /* (height, width, 3), red first */
} Image;

typedef struct {
    char **entries; /* class i + 1 of the network's output is entry i */
    size_t count;
    char *text;
} Charset;

typedef struct {
    size_t index;
    LiteRtTensor given, made;
    LiteRtRankedTensorType given_type, made_type; /* (1, height, width, 3), (1, steps, classes) */
} Signature;

static _Noreturn void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("read_line: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

static void succeed(LiteRtStatus status, const char *what) {
    if (status != 0)
        fail("LiteRT can't %s (status %d)", what, status);
}

static void *allocate(size_t bytes) {
    void *memory = malloc(bytes);
    if (memory == NULL)
        fail("out of memory: %zu bytes", bytes);
    return memory;
}

/* The content of a file, with a zero behind it. */
static char *read_file(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail("can't open %s", path);
    size_t room = 1 << 16, used = 0;
    char *content = allocate(room);
    for (size_t got; (got = fread(content + used, 1, room - used - 1, file)) > 0;) {
        used += got;
        if (room - used < 2) {
            content = realloc(content, room *= 2);
            if (content == NULL)
                fail("out of memory: %s is too large", path);
        }
    }
    if (ferror(file))
        fail("can't read %s", path);
    fclose(file);
    content[used] = '\0';
    *bytes = used;
    return content;
}

/* The next number of a PPM's head; comments run from # to the end of the row. */
static int head_number(const char **at, const char *path) {
    while (**at == ' ' || **at == '\t' || **at == '\r' || **at == '\n' || **at == '#') {
        if (**at == '#')
            while (**at != '\n' && **at != '\0')
                ++*at;
        else
            ++*at;
    }
    char *end;
    long number = strtol(*at, &end, 10);
    if (end == *at || number < 1 || number > MOST_PIXELS)
        fail("%s is no binary PPM of 8 bits: its head has no size", path);
    *at = end;
    return (int)number;
}

static Image read_ppm(const char *path) {
    size_t bytes;
    char *content = read_file(path, &bytes);
    if (strncmp(content, "P6", 2) != 0)
        fail("%s is no binary PPM: it doesn't begin with P6", path);
    const char *at = content + 2;
    Image image = {0};
    image.width = head_number(&at, path);
    image.height = head_number(&at, path);
    int most = head_number(&at, path);
    if (most != 255)
        fail("%s has values up to %d, it must have 255", path, most);
    size_t size = (size_t)image.width * (size_t)image.height * 3;
    size_t head = (size_t)(at - content) + 1; /* one white space ends the head */
    if (image.width > MOST_PIXELS / image.height || head + size != bytes)
        fail("%s is cut off, or has more behind its %dx%d pixels", path, image.width, image.height);
    image.pixels = allocate(size);
    memcpy(image.pixels, content + head, size);
    free(content);
    return image;
}

/* One character a row, UTF-8; a row that holds one space is the space. */
static Charset read_charset(const char *path) {
    size_t bytes;
    Charset charset = {.text = read_file(path, &bytes)};
    for (size_t i = 0; i < bytes; i++)
        charset.count += charset.text[i] == '\n';
    charset.entries = allocate((charset.count + 1) * sizeof *charset.entries);
    char *at = charset.text;
    for (size_t i = 0; i < charset.count; i++) {
        charset.entries[i] = at;
        at = strchr(at, '\n');
        if (at == NULL)
            fail("%s holds a zero byte", path);
        *at++ = '\0';
    }
    return charset;
}

static Signature signature_at(LiteRtModel model, size_t index) {
    LiteRtSignature signature;
    Signature found = {.index = index};
    succeed(LiteRtGetModelSignature(model, index, &signature), "find a signature");
    succeed(LiteRtGetSignatureInputTensorByIndex(signature, 0, &found.given), "find the input");
    succeed(LiteRtGetSignatureOutputTensorByIndex(signature, 0, &found.made), "find the output");
    succeed(LiteRtGetRankedTensorType(found.given, &found.given_type), "tell the input's shape");
    succeed(LiteRtGetRankedTensorType(found.made, &found.made_type), "tell the output's shape");
    if (found.given_type.rank != 4 || found.given_type.dimensions[3] != 3 ||
        found.made_type.rank != 3)
        fail("the model is no recogniser: its input must be (1, height, width, 3), its output "
             "(1, steps, classes)");
    return found;
}

/* The narrowest that has room for the line: time grows with the width. */
static Signature choose_signature(LiteRtModel model, const Image *line) {
    size_t count;
    succeed(LiteRtGetNumModelSignatures(model, &count), "count the signatures");
    Signature best = {0};
    int height = 0, widest = 0;
    for (size_t i = 0; i < count; i++) {
        Signature candidate = signature_at(model, i);
        int width = candidate.given_type.dimensions[2];
        height = candidate.given_type.dimensions[1];
        widest = width > widest ? width : widest;
        bool fits = height == line->height && width >= line->width;
        if (fits && (best.given == NULL || width < best.given_type.dimensions[2]))
            best = candidate;
    }
    if (best.given == NULL)
        fail("the line is %dx%d pixels; this recogniser takes lines %d high and up to %d wide",
             line->width, line->height, height, widest);
    return best;
}

/* Scale and zero point of an int8 tensor; of a float one 1 and 0. */
static LiteRtQuantizationPerTensor quantization(LiteRtTensor tensor, int element_type) {
    LiteRtQuantizationPerTensor found = {.scale = 1, .zero_point = 0};
    if (element_type == LITERT_INT8)
        succeed(LiteRtGetPerTensorQuantization(tensor, &found), "tell a tensor's scale");
    else if (element_type != LITERT_FLOAT32)
        fail("the model's tensors must be int8 or float32, one is of type %d", element_type);
    return found;
}

/* What a pixel's value becomes; a byte has only 256, so this is worked out once for each. */
static double normalised(int value) {
    return (value / 255.0 - MEAN) / STD;
}

static int8_t quantized(double real, LiteRtQuantizationPerTensor by) {
    double value = nearbyint(real / by.scale) + (double)by.zero_point;
    return (int8_t)fmin(fmax(value, -128), 127);
}

/* The line at the left, and behind it what the network knows as zero. */
static void fill_input(void *memory, const Signature *signature, const Image *line) {
    int width = signature->given_type.dimensions[2];
    int type = signature->given_type.element_type;
    LiteRtQuantizationPerTensor scale = quantization(signature->given, type);
    float reals[256];
    int8_t integers[256];
    for (int value = 0; value < 256; value++) {
        reals[value] = (float)normalised(value);
        integers[value] = quantized(normalised(value), scale);
    }
    for (int y = 0; y < line->height; y++) {
        for (int x = 0; x < width; x++) {
            const uint8_t *pixel = line->pixels + 3 * ((size_t)y * line->width + x);
            for (int channel = 0; channel < 3; channel++) {
                size_t at = 3 * ((size_t)y * width + x) + channel;
                bool inside = x < line->width;
                if (type == LITERT_INT8)
                    ((int8_t *)memory)[at] = inside ? integers[pixel[CHANNEL_OF_PPM[channel]]]
                                                    : (int8_t)scale.zero_point;
                else
                    ((float *)memory)[at] = inside ? reals[pixel[CHANNEL_OF_PPM[channel]]] : 0;
            }
        }
    }
}

/* The best class of every step, without repetitions and blanks: greedy CTC. Integers are
 * compared as they are: their scale changes no order. */
static void print_text(const void *memory, const Signature *signature, const Charset *charset) {
    const LiteRtRankedTensorType *type = &signature->made_type;
    size_t steps = (size_t)type->dimensions[1], classes = (size_t)type->dimensions[2];
    size_t before = BLANK;
    for (size_t step = 0; step < steps; step++) {
        size_t best = 0;
        for (size_t i = 1; i < classes; i++) {
            size_t at = step * classes;
            bool larger = type->element_type == LITERT_INT8
                              ? ((const int8_t *)memory)[at + i] > ((const int8_t *)memory)[at + best]
                              : ((const float *)memory)[at + i] > ((const float *)memory)[at + best];
            if (larger)
                best = i;
        }
        if (best != BLANK && best != before)
            fputs(charset->entries[best - 1], stdout);
        before = best;
    }
    putchar('\n');
    if (fflush(stdout) != 0 || ferror(stdout))
        fail("can't write the text to standard output");
}

static void write_output(const char *path, const void *memory, const Signature *signature) {
    const LiteRtRankedTensorType *type = &signature->made_type;
    size_t values = (size_t)type->dimensions[1] * (size_t)type->dimensions[2];
    size_t size = type->element_type == LITERT_INT8 ? sizeof(int8_t) : sizeof(float);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(memory, size, values, file) != values || fclose(file) != 0)
        fail("can't write %s", path);
}

static LiteRtEnvironment create_environment(void) {
    /* LiteRT looks into folders for accelerators and loads what it finds. Processors need none,
     * and the wheel's for WebGPU dies on a Raspberry Pi 4. */
    const char *nowhere = "/nonexistent";
    const LiteRtEnvOption options[] = {
        {LITERT_COMPILER_PLUGIN_FOLDER, {LITERT_TEXT, {.text = nowhere}}},
        {LITERT_DISPATCH_FOLDER, {LITERT_TEXT, {.text = nowhere}}},
        {LITERT_RUNTIME_FOLDER, {LITERT_TEXT, {.text = nowhere}}},
        {LITERT_LEAST_LOGGED, {LITERT_NUMBER, {.number = LITERT_ERRORS}}},
    };
    LiteRtEnvironment environment;
    succeed(LiteRtCreateEnvironment(sizeof options / sizeof *options, options, &environment),
            "start");
    return environment;
}

static LiteRtCompiledModel compile(LiteRtEnvironment environment, LiteRtModel model) {
    LiteRtOptions options;
    LiteRtCompiledModel compiled;
    succeed(LiteRtCreateOptions(&options), "make options");
    succeed(LiteRtSetOptionsHardwareAccelerators(options, LITERT_CPU), "choose the processor");
    succeed(LiteRtCreateCompiledModel(environment, model, options, &compiled), "compile the model");
    LiteRtDestroyOptions(options);
    return compiled;
}

static void *lock(LiteRtTensorBuffer buffer, int mode) {
    void *memory;
    succeed(LiteRtLockTensorBuffer(buffer, &memory, mode), "lock a buffer");
    return memory;
}

static char *path_in(const char *folder, const char *name) {
    size_t room = strlen(folder) + strlen(name) + 2;
    char *path = allocate(room);
    snprintf(path, room, "%s/%s", folder, name);
    return path;
}

int main(int count, char **arguments) {
    if (count != 3 && count != 4)
        fail("usage: read_line BUNDLE LINE.ppm [OUTPUT]");
    char *model_path = path_in(arguments[1], "rec.tflite");
    char *charset_path = path_in(arguments[1], "charset.txt");
    Image line = read_ppm(arguments[2]);
    Charset charset = read_charset(charset_path);

    LiteRtEnvironment environment = create_environment();
    LiteRtModel model;
    if (LiteRtCreateModelFromFile(environment, model_path, &model) != 0)
        fail("%s is missing, or no model that LiteRT can run", model_path);
    Signature signature = choose_signature(model, &line);
    size_t classes = (size_t)signature.made_type.dimensions[2];
    if (classes != charset.count + 1)
        fail("%s has %zu characters, the model knows %zu", charset_path, charset.count, classes - 1);
    quantization(signature.made, signature.made_type.element_type);

    LiteRtCompiledModel compiled = compile(environment, model);
    LiteRtTensorBufferRequirements required;
    LiteRtTensorBuffer given, made;
    succeed(LiteRtGetCompiledModelInputBufferRequirements(compiled, signature.index, 0, &required),
            "tell what the input needs");
    succeed(LiteRtCreateManagedTensorBufferFromRequirements(environment, &signature.given_type,
                                                            required, &given),
            "make the input");
    succeed(LiteRtGetCompiledModelOutputBufferRequirements(compiled, signature.index, 0, &required),
            "tell what the output needs");
    succeed(LiteRtCreateManagedTensorBufferFromRequirements(environment, &signature.made_type,
                                                            required, &made),
            "make the output");

    fill_input(lock(given, LITERT_WRITE), &signature, &line);
    succeed(LiteRtUnlockTensorBuffer(given), "unlock the input");
    succeed(LiteRtRunCompiledModel(compiled, signature.index, 1, &given, 1, &made), "run the model");
    const void *output = lock(made, LITERT_READ);
    print_text(output, &signature, &charset);
    if (count == 4)
        write_output(arguments[3], output, &signature);
    succeed(LiteRtUnlockTensorBuffer(made), "unlock the output");

    LiteRtDestroyTensorBuffer(given);
    LiteRtDestroyTensorBuffer(made);
    LiteRtDestroyCompiledModel(compiled);
    LiteRtDestroyModel(model);
    LiteRtDestroyEnvironment(environment);
    free(line.pixels);
    free(charset.entries);
    free(charset.text);
    free(charset_path);
    free(model_path);
    return 0;
}
