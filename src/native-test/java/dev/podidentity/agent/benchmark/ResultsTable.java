package dev.podidentity.agent.benchmark;

import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The results of a group in Markdown: a row for each case and agent, a column for each measure. */
final class ResultsTable {

    private ResultsTable() {}

    static String of(Group group, Results results) {
        StringBuilder table = new StringBuilder();
        List<Measure> measures = group.measures();
        if (results.has(group.name())) {
            row(table, Stream.concat(Stream.of("case", "agent"), measures.stream().map(Measure::title)));
            row(table, Stream.concat(Stream.of("---", "---"), measures.stream().map(measure -> "---:")));
        }
        for (String variant : results.variants(group.name())) {
            String title = variant;
            for (Contender contender : results.contenders(group.name())) {
                Map<Measure, Spread> spreads = results.spreads(group.name(), variant, contender);
                if (!spreads.isEmpty()) {
                    row(table, Stream.concat(
                            Stream.of(title, contender.name()),
                            measures.stream().map(measure -> spreads.containsKey(measure)
                                    ? spreads.get(measure).text(measure.decimals())
                                    : "")));
                    title = "";
                }
            }
        }
        for (Results.Skipped skipped : results.skipped(group.name())) {
            table.append(table.isEmpty() ? "" : "\n")
                    .append("Not measured for ").append(skipped.contender()).append(": ").append(skipped.why()).append(".\n");
        }
        return table.toString();
    }

    private static void row(StringBuilder table, Stream<String> cells) {
        table.append(cells.map(cell -> cell.replace("|", "\\|")).collect(Collectors.joining(" | ", "| ", " |\n")));
    }
}
