package dev.podidentity.emulator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class EmulatorConfigTest {

    @Test
    void readsTheAssociationsOfTheDemo() throws IOException {
        try (InputStream yaml = getClass().getResourceAsStream("/associations.yaml")) {
            // When
            EmulatorConfig config = EmulatorConfig.load(yaml);

            // Then
            assertThat(config.clusterName()).isEqualTo("demo");
            assertThat(config.credentialLifetime()).isEqualTo(Duration.ofHours(6));
            assertThat(config.associations())
                    .contains(new Association(
                            "default", "demo", "arn:aws:iam::123456789012:role/demo", "a-0demo0000000000001"))
                    .hasSize(3);
        }
    }

    @ParameterizedTest
    @CsvSource({"6h, PT6H", "1h30m, PT90M", "90s, PT90S", "PT10M, PT10M", "P1D, P1D"})
    void readsDurationsOfBothKinds(String text, Duration expected) {
        assertThat(load("credentialLifetime: " + text).credentialLifetime()).isEqualTo(expected);
    }

    @Test
    void keepsTheDefaultsOfWhatIsAbsent() {
        assertThat(load("region: eu-central-1")).isEqualTo(EmulatorConfig.defaults().withRegion("eu-central-1"));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            cluster: a/b                            | clusterName must be the name of a cluster: a/b
            cluster: 7                              | cluster must be a string: 7
            region: US                              | region must be the name of a region: US
            audience: ' '                           | audience must not be blank:
            credentialLifetime: long                | credentialLifetime must be a duration such as 6h or PT6H: long
            credentialLifetime: 0s                  | credentialLifetime must be positive: PT0S
            associations: none                      | associations must be a list: none
            associations: [1]                       | associations[0] must be a mapping: 1
            associations: [{namespace: 1}]          | associations[0].namespace must be a string: 1
            associations: [{name: x}]               | associations[0] must only have the fields
            clutser: demo                           | The configuration must only have the fields
            '[a'                                    | The configuration must be YAML
            just text                               | The configuration must be a mapping: just text
            """)
    void namesTheFieldThatCannotBeUsed(String yaml, String message) {
        assertThatThrownBy(() -> load(yaml))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageStartingWith(message);
    }

    @Test
    void namesTheAssociationThatCannotBeUsed() {
        assertThatThrownBy(() -> load("""
                associations:
                  - {namespace: a, serviceAccount: b, roleArn: 'arn:aws:iam::123456789012:role/c', associationId: a-1}
                  - {namespace: a, serviceAccount: d, roleArn: 'arn:aws:iam::12:role/c', associationId: a-2}
                """))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("associations[1].roleArn must be the ARN of an IAM role: arn:aws:iam::12:role/c");
    }

    @Test
    void refusesTwoRolesForOneServiceAccount() {
        assertThatThrownBy(() -> load("""
                associations:
                  - {namespace: a, serviceAccount: b, roleArn: 'arn:aws:iam::123456789012:role/c', associationId: a-1}
                  - {namespace: a, serviceAccount: b, roleArn: 'arn:aws:iam::123456789012:role/d', associationId: a-2}
                """))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("associations must name a service account only once: a/b");
    }

    @Test
    void keepsSecretsOutOfItsText() {
        assertThat(EmulatorConfig.defaults().toString())
                .doesNotContain(EmulatorConfig.defaults().nodeSecretAccessKey());
    }

    private static EmulatorConfig load(String yaml) {
        return EmulatorConfig.load(new ByteArrayInputStream(yaml.getBytes(StandardCharsets.UTF_8)));
    }
}
