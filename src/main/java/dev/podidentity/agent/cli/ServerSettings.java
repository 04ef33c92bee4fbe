package dev.podidentity.agent.cli;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import picocli.CommandLine.ParameterException;

/** Determines an agent's configuration from outside. */
public final class ServerSettings {

    private ServerSettings() {}

    /**
     * Returns the value of each flag of {@code server} by its name, without flags that have no value. A flag that was passed
     * overrides the command line of the running agent, which overrides the environment, as in the agent itself.
     *
     * @param given by property
     * @param running the arguments of the running agent, if there is one
     * @throws IllegalArgumentException if a variable is invalid; names it
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

    /** Returns whether the arguments of an agent, of any version, run {@code server}. */
    public static boolean isServer(List<String> arguments) {
        int command = 0;
        while (command < arguments.size() && arguments.get(command).startsWith("-")) {
            // Only --verbosity may come before the command, with its value in the same argument or in the next.
            command += List.of("-v", "--verbosity").contains(arguments.get(command)) ? 2 : 1;
        }
        return command < arguments.size() && arguments.get(command).equals("server");
    }

    /** The flags of another version's agent may be unknown, and are then ignored. */
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
