package dev.podidentity.agent.doctor;

import dev.podidentity.agent.cli.ServerSettings;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/** Settings of agents. */
final class Settings {

    private Settings() {}

    /** The defaults, but for some flags: names and values in turns. */
    static AgentSettings with(String... flags) {
        Map<String, String> given = new HashMap<>();
        for (int i = 0; i < flags.length; i += 2) {
            given.put("agent." + flags[i], flags[i + 1]);
        }
        return AgentSettings.of(ServerSettings.effective(given, Optional.empty(), Map.of()), Map.of());
    }
}
