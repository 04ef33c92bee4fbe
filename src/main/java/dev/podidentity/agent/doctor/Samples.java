package dev.podidentity.agent.doctor;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Samples of a scrape in Prometheus's text format, in the form that an agent writes. */
record Samples(List<Sample> all) {

    private static final Pattern LINE = Pattern.compile("([a-zA-Z_:][\\w:]*)(?:\\{(.*)})? (\\S+)");
    private static final Pattern LABEL = Pattern.compile("(\\w+)=\"([^\"]*)\"");

    static Samples parse(String scrape) {
        List<Sample> samples = new ArrayList<>();
        scrape.lines().map(LINE::matcher).filter(Matcher::matches).forEach(line -> {
            Map<String, String> labels = new LinkedHashMap<>();
            Matcher label = LABEL.matcher(Optional.ofNullable(line.group(2)).orElse(""));
            while (label.find()) {
                labels.put(label.group(1), label.group(2));
            }
            number(line.group(3)).ifPresent(value -> samples.add(new Sample(line.group(1), labels, value)));
        });
        return new Samples(samples);
    }

    private static Optional<Double> number(String text) {
        try {
            return Optional.of(Double.parseDouble(text));
        } catch (NumberFormatException e) {
            return Optional.empty();
        }
    }

    List<Sample> of(String name) {
        return all.stream().filter(sample -> sample.name.equals(name)).toList();
    }

    /** Returns the value of a family without labels. */
    Optional<Double> value(String name) {
        return of(name).stream().findFirst().map(Sample::value);
    }

    /** One line of a scrape. */
    record Sample(String name, Map<String, String> labels, double value) {}
}
