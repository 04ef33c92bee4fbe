package dev.podidentity.agent.cli;

import io.quarkus.runtime.configuration.ConfigurationException;
import io.smallrye.config.ConfigValidationException;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Extracts from a failed start the one line that says which flag to fix, and how. */
public final class ConfigurationProblem {

    private static final Pattern MISSING =
            Pattern.compile("(?s).*config property agent\\.(\\S+) is required but it could not be found.*");
    private static final Pattern CONVERTED = Pattern.compile(
            "(?s).*config property agent\\.(\\S+) with the config value \"(.*)\" threw an Exception whilst being converted (.*)");
    private static final Pattern UNKNOWN = Pattern.compile("(?s).*?(agent\\.\\S+) in (.*) does not map to any root.*");

    private ConfigurationProblem() {}

    /** Returns the line; empty if the failure is not one of configuration. */
    public static Optional<String> in(Throwable failure) {
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            if (cause instanceof ConfigValidationException invalid) {
                return Optional.of(describe(invalid.getProblem(0).getMessage()));
            }
            if (cause instanceof ConfigurationException) {
                return Optional.of(cause.getMessage());
            }
        }
        return Optional.empty();
    }

    static String describe(String problem) {
        Matcher missing = MISSING.matcher(problem);
        if (missing.matches()) {
            return "--" + missing.group(1) + " is required";
        }
        Matcher converted = CONVERTED.matcher(problem);
        if (converted.matches()) {
            String allowed = converted.group(3).replaceFirst("^[\\w.$]*Exception: ", "");
            return "--" + converted.group(1) + " " + allowed + ": \"" + converted.group(2) + '"';
        }
        Matcher unknown = UNKNOWN.matcher(problem);
        if (unknown.matches()) {
            return "there is no property " + unknown.group(1) + ": remove it, or see docs/configuration.md for the one meant";
        }
        return problem.lines().findFirst().orElse("unusable configuration");
    }
}
