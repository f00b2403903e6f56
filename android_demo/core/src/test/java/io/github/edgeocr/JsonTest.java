package io.github.edgeocr;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.Test;
import org.junit.function.ThrowingRunnable;

public class JsonTest {
    @Test
    public void parse_readsEveryKindOfValue() throws Json.SyntaxException {
        Map<?, ?> read = (Map<?, ?>) Json.parse(
                " {\"a\": [1, -2.5e1, true, false, null], \"b\\n\\u4e2d\": \"x\\\\\\\"/\\/\"} ");
        assertEquals(Arrays.asList(1L, -25.0, true, false, null), read.get("a"));
        assertEquals("x\\\"//", read.get("b\n\u4e2d"));
        assertEquals(0, ((List<?>) Json.parse("[]")).size());
        assertEquals(0, ((Map<?, ?>) Json.parse("{}")).size());
    }

    @Test
    public void parse_refusesWhatIsNoJson() {
        String[] wrong = {
            "", " ", "{", "[1,]", "{\"a\"}", "{\"a\":1,}", "{a:1}", "01", "1.", ".5", "-", "+1", "1e",
            "NaN", "Infinity", "tru", "\"", "\"\\x\"", "\"\\u12g4\"", "\"\t\"", "1 2", "[1}",
            "{\"a\":1,\"a\":2}", "99999999999999999999"
        };
        for (final String text : wrong) {
            assertThrows(
                    text,
                    Json.SyntaxException.class,
                    new ThrowingRunnable() {
                        @Override
                        public void run() throws Json.SyntaxException {
                            Json.parse(text);
                        }
                    });
        }
    }

    @Test
    public void parse_ofDeepNesting_isRefusedAndNotAStackOverflow() {
        final StringBuilder deep = new StringBuilder();
        for (int i = 0; i < 100_000; i++) {
            deep.append('[');
        }
        Json.SyntaxException error = assertThrows(
                Json.SyntaxException.class,
                new ThrowingRunnable() {
                    @Override
                    public void run() throws Json.SyntaxException {
                        Json.parse(deep.toString());
                    }
                });
        assertTrue(error.getMessage().startsWith("nested too deeply (line 1, column "));
    }
}
