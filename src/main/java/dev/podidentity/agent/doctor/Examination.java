package dev.podidentity.agent.doctor;

import java.util.List;

/** Runs checks one after another. The worst finding determines the result. */
final class Examination {

    private static final int ALL_OK = 0;
    private static final int WARNINGS = 1;
    private static final int FAILURES = 2;

    private final Report report;
    private int exitCode = ALL_OK;

    Examination(Report report) {
        this.report = report;
    }

    void run(List<Check> checks) {
        checks.forEach(check -> check.examine().forEach(finding -> {
            report.add(check.name(), finding);
            exitCode = Math.max(exitCode, weight(finding.status()));
        }));
    }

    /** Returns 0 if nothing is wrong, 1 if there are warnings, 2 if there are failures. Skipped checks do not count. */
    int end() {
        report.end(exitCode);
        return exitCode;
    }

    private static int weight(Status status) {
        return switch (status) {
            case OK, SKIP -> ALL_OK;
            case WARN -> WARNINGS;
            case FAIL -> FAILURES;
        };
    }
}
