package dev.podidentity.agent.config;

import static org.assertj.core.api.Assertions.assertThat;

import io.smallrye.config.PropertiesConfigSource;
import io.smallrye.config.SmallRyeConfigBuilder;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CombinedValuesTest {

    private static final Optional<String> NODE = Optional.of("node-1");

    @Test
    void acceptsTheDefaults() {
        assertThat(CombinedValues.problem(config(""), Optional.empty())).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            probe-port=2705                                            | --probe-port and --metrics-port must differ: "2705"
            port=2703 bind-hosts=127.0.0.1                             | --port and --probe-port must differ: "2703"
            port=2705 bind-hosts=10.0.0.1 metrics-address=10.0.0.1     | --port and --metrics-port must differ: "2705"
            audience=other                                             | --audience must be pods.eks.amazonaws.com unless --endpoint is given: "other"
            attempt-timeout=16s                                        | --attempt-timeout must not exceed --flight-timeout: "16000ms"
            coalesce=role                                              | --coalesce must be token unless --token-verification is jwks or token-review: "role"
            coalesce=pod                                               | --coalesce must be token unless --token-verification is jwks or token-review: "pod"
            events=true                                                | --events must be false unless --token-verification is jwks or token-review: "true"
            keys-file=/                                                | --keys-file must be the path of a file: "/"
            """)
    void saysWhichValuesDoNotGoTogether(String values, String problem) {
        assertThat(CombinedValues.problem(config(values), NODE)).contains(problem);
    }

    @ParameterizedTest
    @CsvSource({
        "port=2703", "port=0 probe-port=0 metrics-port=0 bind-hosts=127.0.0.1", "probe-port=2705 metrics-address=10.0.0.1",
        "audience=other endpoint=https://eks-auth.example", "attempt-timeout=15s", "coalesce=token",
        "coalesce=role token-verification=jwks", "events=true token-verification=token-review", "keys-file=/var/keys.json",
        "pod-watch=true startup-taint=example.com/not-ready"
    })
    void acceptsWhatGoesTogether(String values) {
        assertThat(CombinedValues.problem(config(values), NODE)).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"pod-watch=true, --pod-watch", "startup-taint=example.com/not-ready, --startup-taint"})
    void wantsTheNodesNameForWhatIsAboutTheNode(String values, String flag) {
        assertThat(CombinedValues.problem(config(values), Optional.empty())).contains(flag
                + " needs the name of this node: set the environment variable NODE_NAME to spec.nodeName of the agent's pod");
    }

    /** @param values properties separated by spaces, such as {@code port=80 events=true} */
    private static AgentConfig config(String values) {
        Map<String, String> properties = new LinkedHashMap<>(Map.of("agent.cluster-name", "prod"));
        for (String value : values.isEmpty() ? new String[0] : values.split(" +")) {
            String[] parts = value.split("=", 2);
            properties.put("agent." + parts[0], parts[1]);
        }
        return new SmallRyeConfigBuilder()
                .withMapping(AgentConfig.class)
                .withSources(new PropertiesConfigSource(properties, "test", 100))
                .build()
                .getConfigMapping(AgentConfig.class);
    }
}
