package dev.podidentity.agent.doctor;

import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.io.PrintWriter;

/** Prints a single JSON object at the end. */
final class JsonReport implements Report {

    private final PrintWriter out;
    private final JsonArray findings = new JsonArray();

    JsonReport(PrintWriter out) {
        this.out = out;
    }

    @Override
    public void add(String check, Finding finding) {
        JsonObject one = new JsonObject()
                .put("check", check)
                .put("status", finding.status().label())
                .put("seen", finding.seen());
        finding.remedy().ifPresent(remedy -> one.put("remedy", remedy));
        if (!finding.details().isEmpty()) {
            one.put("details", new JsonArray(finding.details()));
        }
        findings.add(one);
    }

    @Override
    public void end(int exitCode) {
        out.println(new JsonObject().put("exitCode", exitCode).put("findings", findings).encodePrettily());
        out.flush();
    }
}
