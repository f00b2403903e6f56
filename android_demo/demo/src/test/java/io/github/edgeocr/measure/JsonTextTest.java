package io.github.edgeocr.measure;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;

import io.github.edgeocr.Json;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.Test;

public final class JsonTextTest {
    @Test
    public void whatIsWrittenIsReadAgain() throws Exception {
        Map<String, Object> value = new LinkedHashMap<>();
        value.put("text \"quoted\" \\ \n \u0001", "检测 €");
        value.put("numbers", Arrays.<Object>asList(1L, -2.5, 1e-7, 0L));
        value.put("nothing", null);
        value.put("empty", Arrays.<Object>asList(
                Collections.emptyMap(), Collections.emptyList(), "", true, false));
        assertEquals(value, Json.parse(JsonText.of(value)));
    }

    @Test
    public void whatJsonCannotSayIsRefused() {
        for (Object value : Arrays.<Object>asList(Double.NaN, Float.POSITIVE_INFINITY, 'c')) {
            assertThrows(IllegalArgumentException.class, () -> JsonText.of(value));
        }
    }
}
