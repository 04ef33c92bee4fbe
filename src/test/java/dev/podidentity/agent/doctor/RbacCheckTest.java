package dev.podidentity.agent.doctor;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.outbound.CallFailure;
import dev.podidentity.agent.testing.Certificates;
import dev.podidentity.agent.testing.ScriptedServer;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RbacCheckTest {

    private static final String[] ALL_ON = {
        "token-verification", "jwks", "pod-watch", "true", "events", "true", "startup-taint", "example.com/not-ready"
    };

    private final PatientWeb web = new PatientWeb();

    @TempDir
    private Path directory;

    @AfterEach
    void stop() {
        web.close();
    }

    @Test
    void needsNoApiServerWhereNothingUsesIt() {
        assertThat(new RbacCheck(Settings.with(), Optional.empty(), "No token").examine())
                .containsExactly(Finding.ok("No enabled feature needs the API server"));
    }

    @Test
    void failsWithoutAWayToTheApiServerThatAFeatureNeeds() {
        assertThat(new RbacCheck(Settings.with("pod-watch", "true"), Optional.empty(), "No token").examine())
                .singleElement().satisfies(finding -> {
                    assertThat(finding.status()).isEqualTo(Status.FAIL);
                    assertThat(finding.seen()).isEqualTo("No token");
                });
    }

    @Test
    void asksForEachRuleThatAFeatureNeedsAndNamesTheFileOfTheMissingOnes() {
        try (ScriptedServer server = allowing(Set.of("/openid/v1/jwks", "pods list", "nodes get", "nodes patch"))) {
            assertThat(examine(server, ALL_ON)).containsExactly(
                    Finding.ok("The agent is allowed to get /openid/v1/jwks"),
                    Finding.ok("The agent is allowed to list pods"),
                    Finding.fail("The agent is not allowed to watch pods, which --pod-watch needs", "Apply core/pods.yaml of"
                            + " kubernetes/verified"),
                    Finding.fail("The agent is not allowed to create events, which --events needs", "Apply events/ of"
                            + " kubernetes/verified"),
                    Finding.ok("The agent is allowed to get nodes"),
                    Finding.ok("The agent is allowed to patch nodes"));
        }
    }

    @Test
    void asksForTokenReviews() {
        try (ScriptedServer server = allowing(Set.of("tokenreviews create"))) {
            assertThat(examine(server, "token-verification", "token-review"))
                    .containsExactly(Finding.ok("The agent is allowed to create tokenreviews.authentication.k8s.io"));
        }
    }

    @Test
    void failsWhereTheApiServerDoesNotAcceptTheToken() {
        try (ScriptedServer server = new ScriptedServer()) {
            server.answer(401, "{\"message\":\"Unauthorized\"}");

            assertThat(examine(server, ALL_ON)).singleElement().satisfies(finding -> {
                assertThat(finding.status()).isEqualTo(Status.FAIL);
                assertThat(finding.seen()).contains("HTTP 401", "Unauthorized");
            });
        }
    }

    @Test
    void showsTheMountedTokenToAServerOfTheMountedAuthority() throws IOException, InterruptedException, CallFailure {
        Certificates certificates = Certificates.make(directory, "ip:127.0.0.1");
        Files.writeString(directory.resolve("token"), "mounted-token\n");
        try (ScriptedServer server = new ScriptedServer("127.0.0.1", certificates.server())) {
            server.answer(200, "{\"status\":{\"allowed\":true}}");
            AgentSettings settings = Settings.with(
                    "pod-watch", "true", "api-server", server.url().toString(), "service-account-path", directory.toString());

            assertThat(new RbacCheck(settings, Optional.of(new Kube(web, KubeAccess.inCluster(settings, Map.of()))), "").examine())
                    .extracting(Finding::status).containsOnly(Status.OK);
            assertThat(server.received()).allSatisfy(request ->
                    assertThat(request.getHeader("Authorization")).isEqualTo("Bearer mounted-token"));
        }
    }

    private List<Finding> examine(ScriptedServer server, String... flags) {
        AgentSettings settings = Settings.with(flags);
        return new RbacCheck(settings, Optional.of(new Kube(web, new KubeAccess(
                server.url(), Optional.empty(), Web.Route.DIRECT, "a test"))), "").examine();
    }

    /** @param rules paths, and resources with a verb */
    private static ScriptedServer allowing(Set<String> rules) {
        ScriptedServer server = new ScriptedServer();
        server.answer(request -> request.body().onSuccess(body -> {
            JsonObject spec = body.toJsonObject().getJsonObject("spec");
            JsonObject resource = spec.getJsonObject("resourceAttributes");
            String asked = resource == null
                    ? spec.getJsonObject("nonResourceAttributes").getString("path")
                    : resource.getString("resource") + " " + resource.getString("verb");
            request.response().setStatusCode(201).end(
                    new JsonObject().put("status", new JsonObject().put("allowed", rules.contains(asked))).encode());
        }));
        return server;
    }
}
