package io.github.edgeocr;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A strict reader of JSON (RFC 8259).
 *
 * <p>Android has org.json and the desktop JVM has none, and the one file that is read, bundle.json,
 * is small: a few hundred lines less than a dependency. Objects become {@link Map}s in their own
 * order, arrays {@link List}s, whole numbers {@link Long}s, all other numbers {@link Double}s.
 */
public final class Json {
    /** Says where the text is wrong. */
    public static final class SyntaxException extends Exception {
        private static final long serialVersionUID = 1L;

        SyntaxException(String message) {
            super(message);
        }
    }

    private static final int MAX_DEPTH = 100;

    private final String text;
    private int position;

    private Json(String text) {
        this.text = text;
    }

    /**
     * @throws SyntaxException the text is no JSON
     */
    public static Object parse(String text) throws SyntaxException {
        Json reader = new Json(text);
        Object value = reader.value(0);
        reader.skipSpace();
        if (reader.position != text.length()) {
            throw reader.error("unexpected text after the value");
        }
        return value;
    }

    private Object value(int depth) throws SyntaxException {
        if (depth > MAX_DEPTH) {
            throw error("nested too deeply");
        }
        skipSpace();
        switch (peek()) {
            case '{':
                return object(depth);
            case '[':
                return array(depth);
            case '"':
                return string();
            case 't':
                return word("true", Boolean.TRUE);
            case 'f':
                return word("false", Boolean.FALSE);
            case 'n':
                return word("null", null);
            default:
                return number();
        }
    }

    private Map<String, Object> object(int depth) throws SyntaxException {
        Map<String, Object> members = new LinkedHashMap<>();
        position++;
        skipSpace();
        if (peek() == '}') {
            position++;
            return members;
        }
        while (true) {
            skipSpace();
            if (peek() != '"') {
                throw error("a key must be a string");
            }
            String key = string();
            if (members.containsKey(key)) {
                throw error("the key \"" + key + "\" stands twice");
            }
            skipSpace();
            expect(':');
            members.put(key, value(depth + 1));
            skipSpace();
            if (peek() == '}') {
                position++;
                return members;
            }
            expect(',');
        }
    }

    private List<Object> array(int depth) throws SyntaxException {
        List<Object> items = new ArrayList<>();
        position++;
        skipSpace();
        if (peek() == ']') {
            position++;
            return items;
        }
        while (true) {
            items.add(value(depth + 1));
            skipSpace();
            if (peek() == ']') {
                position++;
                return items;
            }
            expect(',');
        }
    }

    private String string() throws SyntaxException {
        StringBuilder content = new StringBuilder();
        position++;
        while (true) {
            char c = next();
            if (c == '"') {
                return content.toString();
            }
            if (c < 0x20) {
                throw error("a control character must be escaped");
            }
            content.append(c == '\\' ? escaped() : c);
        }
    }

    private char escaped() throws SyntaxException {
        char c = next();
        switch (c) {
            case '"':
            case '\\':
            case '/':
                return c;
            case 'b':
                return '\b';
            case 'f':
                return '\f';
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 't':
                return '\t';
            case 'u':
                int code = 0;
                for (int i = 0; i < 4; i++) {
                    int digit = Character.digit(next(), 16);
                    if (digit < 0) {
                        throw error("\\u needs four hexadecimal digits");
                    }
                    code = code * 16 + digit;
                }
                return (char) code;
            default:
                throw error("unknown escape \\" + c);
        }
    }

    private Object number() throws SyntaxException {
        int start = position;
        if (peek() == '-') {
            position++;
        }
        int firstDigit = position;
        digits();
        if (text.charAt(firstDigit) == '0' && position > firstDigit + 1) {
            throw error("a number must not begin with 0");
        }
        boolean whole = true;
        if (position < text.length() && text.charAt(position) == '.') {
            whole = false;
            position++;
            digits();
        }
        if (position < text.length() && "eE".indexOf(text.charAt(position)) >= 0) {
            whole = false;
            position++;
            if ("+-".indexOf(peek()) >= 0) {
                position++;
            }
            digits();
        }
        String literal = text.substring(start, position);
        try {
            if (whole) {
                return Long.valueOf(literal);
            }
        } catch (NumberFormatException tooLong) {
            throw error("the number " + literal + " is too large");
        }
        return Double.valueOf(literal);
    }

    private void digits() throws SyntaxException {
        int start = position;
        while (position < text.length()
                && text.charAt(position) >= '0'
                && text.charAt(position) <= '9') {
            position++;
        }
        if (position == start) {
            throw error("expected a value");
        }
    }

    private Object word(String word, Object value) throws SyntaxException {
        if (!text.startsWith(word, position)) {
            throw error("expected a value");
        }
        position += word.length();
        return value;
    }

    private void skipSpace() {
        while (position < text.length() && " \t\r\n".indexOf(text.charAt(position)) >= 0) {
            position++;
        }
    }

    private char peek() throws SyntaxException {
        if (position == text.length()) {
            throw error("the text ends too early");
        }
        return text.charAt(position);
    }

    private char next() throws SyntaxException {
        char c = peek();
        position++;
        return c;
    }

    private void expect(char wanted) throws SyntaxException {
        if (peek() != wanted) {
            throw error("expected '" + wanted + "'");
        }
        position++;
    }

    private SyntaxException error(String problem) {
        int line = 1;
        int column = 1;
        for (int i = 0; i < position && i < text.length(); i++) {
            boolean ends = text.charAt(i) == '\n';
            line += ends ? 1 : 0;
            column = ends ? 1 : column + 1;
        }
        return new SyntaxException(problem + " (line " + line + ", column " + column + ")");
    }
}
