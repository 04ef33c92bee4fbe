package dev.podidentity.agent.benchmark;

import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.util.List;

/** Writes all measurements for programs to read. */
final class ResultsJson {

    private ResultsJson() {}

    static JsonObject of(Machine machine, Settings settings, List<Group> groups, Results results) {
        JsonArray runs = new JsonArray();
        for (Results.Row row : results.rows()) {
            JsonObject values = new JsonObject();
            row.values().forEach((measure, value) -> values.put(measure.key(), value));
            runs.add(new JsonObject()
                    .put("group", row.group())
                    .put("case", row.variant())
                    .put("agent", row.contender().name())
                    .put("run", row.run())
                    .put("values", values));
        }
        JsonArray skipped = new JsonArray();
        results.skipped().forEach(skip -> skipped.add(
                new JsonObject().put("group", skip.group()).put("agent", skip.contender()).put("why", skip.why())));
        return new JsonObject()
                .put("machine", machine.json())
                .put("settings", new JsonObject().put("runs", settings.runs()).put("seconds", settings.seconds()))
                .put("summary", summary(groups, results))
                .put("runs", runs)
                .put("skipped", skipped);
    }

    private static JsonArray summary(List<Group> groups, Results results) {
        JsonArray summary = new JsonArray();
        for (Group group : groups) {
            for (String variant : results.variants(group.name())) {
                for (Contender contender : results.contenders(group.name())) {
                    JsonObject values = new JsonObject();
                    results.spreads(group.name(), variant, contender).forEach((measure, spread) -> values.put(measure.key(),
                            new JsonObject().put("median", spread.median()).put("min", spread.least()).put("max", spread.most())));
                    if (!values.isEmpty()) {
                        summary.add(new JsonObject()
                                .put("group", group.name())
                                .put("case", variant)
                                .put("agent", contender.name())
                                .put("values", values));
                    }
                }
            }
        }
        return summary;
    }
}
