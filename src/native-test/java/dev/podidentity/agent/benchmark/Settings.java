package dev.podidentity.agent.benchmark;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Properties;
import java.util.stream.Stream;

/**
 * The values of the system properties {@code benchmark.*}, which docs/performance.md explains.
 *
 * @param runs how often each case runs with each agent
 * @param seconds how long wrk loads an agent
 * @param cases the names of groups of cases; all if empty
 * @param other the command of another agent
 * @param otherName its name in the results
 * @param executable the agent of this build
 * @param bare the baseline handler, which may be missing
 * @param docs whether to write docs/performance.md and its plots
 */
record Settings(
        int runs, int seconds, List<String> cases, Optional<String> other, String otherName, Path executable, Path bare,
        boolean docs) {

    Settings {
        require(runs >= 1, "benchmark.runs must be at least 1", runs);
        require(seconds >= 1, "benchmark.seconds must be at least 1", seconds);
        cases = List.copyOf(cases);
    }

    static Settings of(Properties properties) {
        return new Settings(
                number(properties, "benchmark.runs", 3),
                number(properties, "benchmark.seconds", 5),
                Stream.of(properties.getProperty("benchmark.cases", "").split(",")).filter(name -> !name.isBlank()).map(String::strip).toList(),
                Optional.ofNullable(properties.getProperty("benchmark.other")).filter(command -> !command.isBlank()),
                properties.getProperty("benchmark.other.name", "other"),
                Path.of(properties.getProperty("agent.executable", "target/eks-pod-identity-agent")),
                Path.of(properties.getProperty("benchmark.bare", "target/bare/eks-pod-identity-agent")),
                Boolean.parseBoolean(properties.getProperty("benchmark.docs", "false")));
    }

    private static int number(Properties properties, String name, int otherwise) {
        String value = properties.getProperty(name, String.valueOf(otherwise));
        try {
            return Integer.parseInt(value.strip());
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException(name + " must be a number: " + value, e);
        }
    }

    private static void require(boolean holds, String rule, Object value) {
        if (!holds) {
            throw new IllegalArgumentException(rule + ": " + value);
        }
    }
}
