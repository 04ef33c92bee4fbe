package dev.podidentity.agent.benchmark;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A handwritten page in which the benchmark writes the text between two marker lines for each group of cases. */
final class PerformancePage {

    private final String text;

    PerformancePage(String text) {
        this.text = text;
    }

    /**
     * Returns the page with another text between the marker lines of a group.
     *
     * @throws IllegalArgumentException unless the page has both lines, once each and in this order
     */
    PerformancePage with(String group, String written) {
        Matcher lines = Pattern.compile(
                        "(?s)" + Pattern.quote(begin(group)) + "\n(?:(?!<!-- benchmark ).)*?" + Pattern.quote(end(group)) + "\n")
                .matcher(text);
        if (!lines.find()) {
            throw new IllegalArgumentException("The page needs the lines " + begin(group) + " and " + end(group));
        }
        String between = begin(group) + "\n" + written + end(group) + "\n";
        String rest = text.substring(lines.end());
        if (rest.contains(begin(group))) {
            throw new IllegalArgumentException("The page has this line twice: " + begin(group));
        }
        return new PerformancePage(text.substring(0, lines.start()) + between + rest);
    }

    String text() {
        return text;
    }

    private static String begin(String group) {
        return "<!-- benchmark " + group + ": mvn -Pbenchmark -Dbenchmark.docs=true writes what follows -->";
    }

    private static String end(String group) {
        return "<!-- end of benchmark " + group + " -->";
    }
}
