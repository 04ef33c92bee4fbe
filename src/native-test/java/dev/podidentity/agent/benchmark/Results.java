package dev.podidentity.agent.benchmark;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The measurements, in chronological order. */
final class Results {

    /** One run of a case with an agent. */
    record Row(String group, String variant, Contender contender, int run, Map<Measure, Double> values) {}

    /** What was not measured, and why. */
    record Skipped(String group, String contender, String why) {}

    private final List<Row> rows = new ArrayList<>();
    private final Set<Skipped> skipped = new LinkedHashSet<>();

    void add(String group, String variant, Contender contender, int run, Map<Measure, Double> values) {
        rows.add(new Row(group, variant, contender, run, new EnumMap<>(values)));
    }

    void skip(String group, String contender, String why) {
        skipped.add(new Skipped(group, contender, why));
    }

    List<Row> rows() {
        return List.copyOf(rows);
    }

    List<Skipped> skipped() {
        return List.copyOf(skipped);
    }

    List<Skipped> skipped(String group) {
        return skipped.stream().filter(skip -> skip.group().equals(group)).toList();
    }

    boolean has(String group) {
        return rows.stream().anyMatch(row -> row.group().equals(group));
    }

    Set<String> variants(String group) {
        Set<String> variants = new LinkedHashSet<>();
        rows.stream().filter(row -> row.group().equals(group)).forEach(row -> variants.add(row.variant()));
        return variants;
    }

    /** Returns the agents with which a group was measured. */
    Set<Contender> contenders(String group) {
        Set<Contender> contenders = new LinkedHashSet<>();
        rows.stream().filter(row -> row.group().equals(group)).forEach(row -> contenders.add(row.contender()));
        return contenders;
    }

    /** Returns the combined results of all runs of a case with an agent; only what was measured. */
    Map<Measure, Spread> spreads(String group, String variant, Contender contender) {
        Map<Measure, List<Double>> values = new EnumMap<>(Measure.class);
        rows.stream()
                .filter(row -> row.group().equals(group) && row.variant().equals(variant) && row.contender().equals(contender))
                .forEach(row -> row.values().forEach(
                        (measure, value) -> values.computeIfAbsent(measure, key -> new ArrayList<>()).add(value)));
        Map<Measure, Spread> spreads = new LinkedHashMap<>();
        values.forEach((measure, all) -> spreads.put(measure, Spread.of(all)));
        return spreads;
    }
}
