package dev.podidentity.agent.cli;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import picocli.CommandLine.ParameterException;

/** How an agent is set up, as far as that can be seen from outside. */
public final class ServerSettings {

    private ServerSettings() {}

    /**
     * The value of each flag of {@code server} by its name; flags without a value are not there. A flag that was given wins over
     * the command line of the running agent, and that over the environment, as it does in the agent itself.
     *
     * @param given by property
     * @param running the arguments of the agent that runs, if there is one
     * @throws IllegalArgumentException if a variable cannot be used, naming it
     */
    public static Map<String, String> effective(
            Map<String, String> given, Optional<List<String>> running, Map<String, String> environment) {
        Map<String, String> ofRunning = running.map(ServerSettings::parsed).orElse(Map.of());
        Map<String, String> values = new LinkedHashMap<>();
        for (Flag flag : Flag.ALL) {
            String value = Optional.ofNullable(given.get(flag.property()))
                    .or(() -> Optional.ofNullable(ofRunning.get(flag.property())))
                    .or(() -> ofEnvironment(flag, environment))
                    .orElse(flag.initial());
            if (!value.isEmpty()) {
                values.put(flag.name(), value);
            }
        }
        return values;
    }

    /** Of another version's agent, which has other flags, nothing is known. */
    private static Map<String, String> parsed(List<String> arguments) {
        try {
            return CommandLineInterface.serverProperties(arguments);
        } catch (ParameterException e) {
            return Map.of();
        }
    }

    private static Optional<String> ofEnvironment(Flag flag, Map<String, String> environment) {
        Optional<String> value = Optional.ofNullable(environment.get(flag.variable())).filter(text -> !text.isBlank());
        value.ifPresent(text -> {
            try {
                for (String one : flag.shape() == Flag.Shape.REPEATABLE ? text.split(",") : new String[] {text}) {
                    flag.check().accept(one);
                }
            } catch (IllegalArgumentException e) {
                throw new IllegalArgumentException(flag.variable() + ": " + e.getMessage() + ": \"" + text + '"', e);
            }
        });
        return value;
    }
}
