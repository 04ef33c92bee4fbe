package dev.podidentity.agent.cli;

import dev.podidentity.agent.config.AgentConfig;
import dev.podidentity.agent.config.Checked;
import dev.podidentity.agent.config.CoalesceScope;
import dev.podidentity.agent.config.Description;
import dev.podidentity.agent.config.GoDuration;
import dev.podidentity.agent.config.LogFormat;
import dev.podidentity.agent.config.Verbosity;
import dev.podidentity.agent.config.VerificationMode;
import io.smallrye.config.WithDefault;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.Collectors;

/**
 * A command-line flag. The value of a flag of {@code server} becomes the property {@code agent.NAME}, which
 * {@link AgentConfig} reads with the same check. {@code AgentConfig} also holds the flag's default and description.
 *
 * @param name the long name, without leading hyphens
 * @param letter the short name
 * @param label the placeholder for the value in {@code --help}
 * @param check rejects a value with an {@link IllegalArgumentException} that says what is allowed
 * @param shape whether the flag can be repeated, and whether it needs a value
 * @param initial the default value; empty if there is none
 * @param help the description in {@code --help}
 */
record Flag(
        String name,
        Optional<String> letter,
        String label,
        Consumer<String> check,
        Shape shape,
        String initial,
        String help) {

    enum Shape {
        ONCE,
        REPEATABLE,
        SWITCH
    }

    private static final Map<String, Method> SETTINGS = Arrays.stream(AgentConfig.class.getDeclaredMethods())
            .filter(method -> method.isAnnotationPresent(Description.class))
            .collect(Collectors.toMap(method -> kebab(method.getName()), method -> method));

    /** The reference's flags, with its names, defaults and units, and then the flags that only this agent has. */
    static final List<Flag> ALL = List.of(
            setting("cluster-name", "c", "NAME", new Checked.ClusterName()::convert),
            setting("port", "p", "PORT", new Checked.Port()::convert),
            setting("probe-port", "PORT", new Checked.Port()::convert),
            setting("metrics-address", "HOST", new Checked.Host()::convert),
            setting("metrics-port", "PORT", new Checked.Port()::convert),
            setting("max-credential-retention-before-renewal", "DURATION", GoDuration::parse),
            setting("max-cache-size", "COUNT", new Checked.Count()::convert),
            setting("max-service-qps", "COUNT", new Checked.Count()::convert),
            setting("bind-hosts", "b", "HOST", new Checked.Host()::convert).repeatable(),
            setting("rotate-credentials", "BOOL", new Checked.Truth()::convert),
            setting("endpoint", "URL", Flag::checkEndpoint),
            setting("verbosity", "v", "LEVEL", Verbosity::parse),
            setting("log-format", "FORMAT", LogFormat::parse),
            setting("audience", "AUDIENCE", new Checked.Audience()::convert),
            setting("allowed-hosts", "HOST", new Checked.Host()::convert).repeatable(),
            setting("request-deadline", "DURATION", new Checked.Timeout()::convert),
            setting("patient-request-deadline", "DURATION", new Checked.Timeout()::convert),
            setting("attempt-timeout", "DURATION", new Checked.Timeout()::convert),
            setting("flight-timeout", "DURATION", new Checked.Timeout()::convert),
            setting("max-concurrent-fetches", "COUNT", new Checked.Limit()::convert),
            setting("source-requests-per-second", "COUNT", new Checked.Count()::convert),
            setting("source-request-burst", "COUNT", new Checked.Limit()::convert),
            setting("max-connections", "COUNT", new Checked.Limit()::convert),
            setting("max-connections-per-source", "COUNT", new Checked.Limit()::convert),
            setting("header-timeout", "DURATION", new Checked.Timeout()::convert),
            setting("idle-timeout", "DURATION", new Checked.Timeout()::convert),
            setting("bind-retry-interval", "DURATION", new Checked.Timeout()::convert),
            setting("startup-grace", "DURATION", GoDuration::parse),
            setting("shutdown-timeout", "DURATION", GoDuration::parse),
            setting("token-verification", "MODE", VerificationMode::parse),
            setting("coalesce", "SCOPE", CoalesceScope::parse),
            setting("pod-watch", "BOOL", new Checked.Truth()::convert),
            setting("events", "BOOL", new Checked.Truth()::convert),
            setting("startup-taint", "KEY", new Checked.TaintKey()::convert),
            setting("issuer", "URL", new Checked.Issuer()::convert),
            setting("keys-file", "PATH", value -> { }),
            setting("api-server", "URL", new Checked.ApiServer()::convert),
            setting("service-account-path", "PATH", value -> { }));

    private static Flag setting(String name, String label, Consumer<String> check) {
        return setting(name, Optional.empty(), label, check);
    }

    private static Flag setting(String name, String letter, String label, Consumer<String> check) {
        return setting(name, Optional.of(letter), label, check);
    }

    /** Takes the default and the help from the setting of the same name. */
    private static Flag setting(String name, Optional<String> letter, String label, Consumer<String> check) {
        Method setting = SETTINGS.get(name);
        WithDefault initial = setting.getAnnotation(WithDefault.class);
        return new Flag(name, letter, label, check, setting.getReturnType() == boolean.class ? Shape.SWITCH : Shape.ONCE,
                initial == null ? "" : initial.value(), setting.getAnnotation(Description.class).value());
    }

    private Flag repeatable() {
        return new Flag(name, letter, label, check, Shape.REPEATABLE, initial, help);
    }

    private static String kebab(String name) {
        return name.replaceAll("([A-Z])", "-$1").toLowerCase(Locale.ROOT);
    }

    static Flag one(String name, String label, Consumer<String> check, String initial, String help) {
        return new Flag(name, Optional.empty(), label, check, Shape.ONCE, initial, help);
    }

    static Flag toggle(String name, String help) {
        return new Flag(name, Optional.empty(), "BOOL", new Checked.Truth()::convert, Shape.SWITCH, "false", help);
    }

    /** Accepts an empty value, because the reference's chart may pass its default, which is empty. */
    private static void checkEndpoint(String value) {
        if (!value.isEmpty()) {
            new Checked.Endpoint().convert(value);
        }
    }

    /** Returns the name of the property that carries the value. */
    String property() {
        return "agent." + name;
    }

    /** Returns the environment variable that sets the value if the flag is absent. */
    String variable() {
        return "AGENT_" + name.toUpperCase(Locale.ROOT).replace('-', '_');
    }
}
