package dev.podidentity.agent.benchmark;

import java.util.List;
import java.util.stream.Collectors;

/** The text about a group: the machine, its plots and its table, in Markdown. */
final class GroupText {

    private GroupText() {}

    /** @param folder the folder of the plots, relative to the page */
    static String of(Group group, Results results, Machine machine, Settings settings, String folder) {
        String plots = plots(group, results).stream()
                .map(plot -> "![" + plot.title() + "](" + folder + plot.file() + ".svg)\n\n")
                .collect(Collectors.joining());
        return machine.text(settings, group) + "\n" + plots + ResultsTable.of(group, results);
    }

    /** Returns the plots that contain values. */
    static List<Plot> plots(Group group, Results results) {
        return group.plots(results).stream().filter(plot -> !plot.series().isEmpty()).toList();
    }
}
