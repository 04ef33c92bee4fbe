package dev.podidentity.agent.doctor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.podidentity.agent.outbound.CallFailure;
import dev.podidentity.agent.testing.Certificates;
import dev.podidentity.agent.testing.ScriptedServer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Base64;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class KubeconfigTest {

    private static final String CONFIG = """
            apiVersion: v1
            kind: Config
            current-context: prod
            contexts:
            - name: prod
              context: {cluster: prod, user: me}
            - name: test
              context: {cluster: test, user: program}
            clusters:
            - name: prod
              cluster:
                server: https://api.prod.test
            - name: test
              cluster:
                server: https://api.test.test/behind
            users:
            - name: me
              user:
                token: secret-token
            - name: program
              user:
                exec:
                  apiVersion: client.authentication.k8s.io/v1beta1
                  command: /bin/sh
                  args: ["-c", "echo \\"{\\\\\\"status\\\\\\":{\\\\\\"token\\\\\\":\\\\\\"$PREFIX-token\\\\\\"}}\\""]
                  env:
                  - name: PREFIX
                    value: given
            """;

    @TempDir
    private Path directory;

    @Test
    void leadsWhereTheCurrentContextDoes() throws IOException, CallFailure {
        KubeAccess access = read(CONFIG).access(Optional.empty());

        assertThat(access.server()).hasToString("https://api.prod.test");
        assertThat(access.token()).contains("secret-token");
        assertThat(access.toString() + access.route()).doesNotContain("secret");
    }

    @Test
    void runsTheProgramOfTheContextForAToken() throws IOException, CallFailure {
        KubeAccess access = read(CONFIG).access(Optional.of("test"));

        assertThat(access.server()).hasToString("https://api.test.test/behind");
        assertThat(access.token()).contains("given-token");
    }

    @Test
    void readsATokenFileBesideIt() throws IOException, CallFailure {
        Files.writeString(directory.resolve("token"), "file-token\n");

        assertThat(read(CONFIG.replace("token: secret-token", "tokenFile: token")).access(Optional.empty()).token())
                .contains("file-token");
    }

    @Test
    void trustsTheAuthorityOfTheCluster() throws IOException, InterruptedException, CallFailure {
        Certificates certificates = Certificates.make(directory, "ip:127.0.0.1");
        String authority = Base64.getEncoder().encodeToString(Files.readAllBytes(certificates.authority()));
        try (ScriptedServer server = new ScriptedServer("127.0.0.1", certificates.server()); PatientWeb web = new PatientWeb()) {
            server.answer(200, "{}");
            String config = CONFIG.replace("server: https://api.prod.test",
                    "server: " + server.url() + "\n    certificate-authority-data: " + authority);

            assertThat(new Kube(web, read(config).access(Optional.empty())).get("/version")).isPresent();
            assertThat(server.received()).singleElement().satisfies(request ->
                    assertThat(request.getHeader("Authorization")).isEqualTo("Bearer secret-token"));
        }
    }

    static Stream<Arguments> unusable() {
        return Stream.of(
                arguments("current-context: prod", "current-context: \"\"", "has no current context"),
                arguments("current-context: prod", "current-context: none", "has no context \"none\""),
                arguments("cluster: prod, user", "cluster: none, user", "has no cluster \"none\""),
                arguments("user: me}", "user: none}", "has no user \"none\""),
                arguments("server: https://api.prod.test", "server: nowhere", "has no valid server URL"),
                arguments("server: https://api.prod.test", "insecure-skip-tls-verify: true", "disables verification"),
                arguments("server: https://api.prod.test",
                        "server: https://api.prod.test\n    certificate-authority: missing.crt", "missing.crt, which cannot"
                                + " be read"),
                arguments("token: secret-token", "exec: {command: /bin/false}", "runs /bin/false, which fails"),
                arguments("token: secret-token", "exec: {command: /bin/true}", "which does not return credentials in JSON"),
                arguments("token: secret-token", "exec: {command: /nowhere/aws}", "runs /nowhere/aws, which cannot be started"));
    }

    @ParameterizedTest
    @MethodSource("unusable")
    void saysWhatCannotBeUsed(String right, String wrong, String message) throws IOException, CallFailure {
        Kubeconfig config = read(CONFIG.replace(right, wrong));

        assertThatThrownBy(() -> config.access(Optional.empty())).isInstanceOf(CallFailure.class).hasMessageContaining(message);
    }

    @ParameterizedTest
    @ValueSource(strings = {"sleep 7654.321", "sleep 7654.321 & wait", "echo {}; exec >&-; sleep 7654.321"})
    void endsAProgramThatHangs(String script) throws IOException, CallFailure {
        Path file = Files.writeString(directory.resolve("config"), CONFIG.replace(
                "token: secret-token", "exec: {command: /bin/sh, args: [\"-c\", \"" + script + "\"]}"));
        Kubeconfig config = Kubeconfig.read(file, Map.of(), Duration.ofMillis(500));

        assertThatThrownBy(() -> config.access(Optional.empty()))
                .isInstanceOf(CallFailure.class)
                .hasMessageContaining("runs /bin/sh, which has not finished after 500 ms");

        assertThat(ProcessHandle.allProcesses()
                .filter(process -> process.info().commandLine().orElse("").contains("7654.321")))
                .allSatisfy(process -> assertThat(process.onExit()).succeedsWithin(10, TimeUnit.SECONDS));
    }

    @Test
    void endsAProgramThatWritesWithoutEnd() throws IOException, CallFailure {
        Kubeconfig config = read(CONFIG.replace("token: secret-token", "exec: {command: /usr/bin/yes}"));

        assertThatThrownBy(() -> config.access(Optional.empty()))
                .isInstanceOf(CallFailure.class)
                .hasMessageContaining("runs /usr/bin/yes, which writes more than 1 MiB");
    }

    @Test
    void saysThatThereIsNoneOrThatItIsNotYaml() {
        assertThatThrownBy(() -> Kubeconfig.read(directory.resolve("missing"), Map.of()))
                .isInstanceOf(CallFailure.class).hasMessageContaining("cannot be read");
        assertThatThrownBy(() -> read("users: [secret-token"))
                .isInstanceOf(CallFailure.class).hasMessageContaining("is not in YAML").hasMessageNotContaining("secret-token");
    }

    @Test
    void isWhereKubectlLooks() {
        assertThat(Kubeconfig.place(Map.of("KUBECONFIG", "/a:/b", "HOME", "/home/me"))).isEqualTo(Path.of("/a"));
        assertThat(Kubeconfig.place(Map.of("HOME", "/home/me"))).isEqualTo(Path.of("/home/me/.kube/config"));
    }

    private Kubeconfig read(String content) throws IOException, CallFailure {
        return Kubeconfig.read(Files.writeString(directory.resolve("config"), content), Map.of());
    }
}
