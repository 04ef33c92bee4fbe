package dev.podidentity.agent.benchmark;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A command with placeholders such as {@code {port}} for values that vary between runs.
 *
 * @param words the executable and its arguments
 */
record CommandTemplate(List<String> words) {

    private static final Pattern PLACEHOLDER = Pattern.compile("\\{([a-z-]+)}");

    CommandTemplate {
        words = List.copyOf(words);
        if (words.isEmpty()) {
            throw new IllegalArgumentException("A command must name an executable");
        }
    }

    /**
     * Splits a command into words like a shell: at spaces, with quotes and backslashes, but without other special
     * characters.
     *
     * @throws IllegalArgumentException if a quote is not closed or there is no word
     */
    static CommandTemplate parse(String command) {
        List<String> words = new ArrayList<>();
        StringBuilder word = null;
        char quote = 0;
        for (int i = 0; i < command.length(); i++) {
            char c = command.charAt(i);
            if (quote == 0 && Character.isWhitespace(c)) {
                if (word != null) {
                    words.add(word.toString());
                    word = null;
                }
                continue;
            }
            word = word == null ? new StringBuilder() : word;
            if (c == quote) {
                quote = 0;
            } else if (quote == 0 && (c == '"' || c == '\'')) {
                quote = c;
            } else if (c == '\\' && quote != '\'' && i + 1 < command.length()) {
                word.append(command.charAt(++i));
            } else {
                word.append(c);
            }
        }
        if (quote != 0) {
            throw new IllegalArgumentException("The quote " + quote + " is not closed: " + command);
        }
        if (word != null) {
            words.add(word.toString());
        }
        return new CommandTemplate(words);
    }

    /**
     * Returns the command with values in place of the placeholders. Omits a word that consists only of a placeholder with an
     * empty value.
     *
     * @throws IllegalArgumentException if there is no value for a placeholder
     */
    List<String> expand(Map<String, String> values) {
        List<String> expanded = new ArrayList<>();
        for (String word : words) {
            String value = PLACEHOLDER.matcher(word).replaceAll(
                    placeholder -> Matcher.quoteReplacement(value(placeholder.group(1), values)));
            if (!value.isEmpty() || word.isEmpty()) {
                expanded.add(value);
            }
        }
        return expanded;
    }

    private static String value(String name, Map<String, String> values) {
        String value = values.get(name);
        if (value == null) {
            throw new IllegalArgumentException(
                    "There is no placeholder {" + name + "}, only " + new TreeSet<>(values.keySet()));
        }
        return value;
    }
}
