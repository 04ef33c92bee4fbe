package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;

import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** The report of one run of {@code doctor}. */
public record Diagnosis(int exitCode, List<JsonObject> findings) {

    private static final List<String> BY_EXIT_CODE = List.of("ok", "warn", "fail");

    /** Runs {@code doctor} with JSON output. */
    public static Diagnosis of(List<String> command, Map<String, String> environment, List<String> secrets, String... arguments) {
        List<String> all = new ArrayList<>(List.of("doctor", "--output", "json"));
        all.addAll(List.of(arguments));
        try (AgentProcess doctor = AgentProcess.run(command, environment, all.toArray(String[]::new))) {
            secrets.forEach(doctor::keepsSecret);
            int exitCode = doctor.awaitExit();
            String output = String.join("\n", doctor.output());
            assertThat(output).startsWith("{");
            JsonObject report = new JsonObject(output);
            assertThat(report.getInteger("exitCode")).isEqualTo(exitCode);
            Diagnosis diagnosis = new Diagnosis(exitCode,
                    report.getJsonArray("findings").stream().map(JsonObject.class::cast).toList());
            assertThat(diagnosis.worst()).as(output).isEqualTo(exitCode);
            return diagnosis;
        }
    }

    private int worst() {
        return findings.stream().mapToInt(finding -> Math.max(0, BY_EXIT_CODE.indexOf(finding.getString("status")))).max().orElse(0);
    }

    /** Returns the findings of a check, each as it is in a text report: status, what was found, and what to do. */
    public List<String> of(String check) {
        return findings.stream().filter(finding -> finding.getString("check").equals(check)).map(Diagnosis::line).toList();
    }

    /** Returns all warnings and failures, with the names of their checks. */
    public List<String> troubles() {
        return findings.stream()
                .filter(finding -> List.of("warn", "fail").contains(finding.getString("status")))
                .map(finding -> finding.getString("check") + ": " + line(finding))
                .toList();
    }

    private static String line(JsonObject finding) {
        return finding.getString("status") + ": " + finding.getString("seen")
                + (finding.containsKey("remedy") ? ". " + finding.getString("remedy") : "")
                + finding.getJsonArray("details", new JsonArray()).stream().map(detail -> "\n" + detail).collect(Collectors.joining());
    }
}
