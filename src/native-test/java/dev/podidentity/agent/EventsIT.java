package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.emulator.EksAuthError;
import dev.podidentity.emulator.Fault;
import dev.podidentity.emulator.TokenRequest;
import io.fabric8.kubernetes.api.model.Event;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.UUID;
import org.jose4j.lang.JoseException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What {@code kubectl describe pod} shows for a pod that gets no credentials. */
@Timeout(60)
class EventsIT {

    @TempDir
    private static Path directory;

    private static Cluster cluster;
    private static AgentProcess agent;

    @BeforeAll
    static void start() throws IOException, InterruptedException {
        cluster = Cluster.start(directory);
        agent = cluster.verifyingAgent("--events");
    }

    @AfterAll
    static void stop() {
        agent.close();
        cluster.close();
    }

    @AfterEach
    void heal() {
        cluster.eksAuth().heal();
    }

    /** Returns a pod in a namespace that no other test uses. */
    private static TokenRequest pod(String serviceAccount) {
        return cluster.request("ns-" + UUID.randomUUID(), serviceAccount, "cart-1");
    }

    private static void askTwentyTimes(String token, int status) throws IOException {
        try (RawHttp http = new RawHttp(agent.port())) {
            for (int i = 0; i < 20; i++) {
                assertThat(http.askAsSdk(token).status()).isEqualTo(status);
            }
        }
    }

    /** Returns the Events in a pod's namespace, once all earlier Events of the agent have arrived. */
    private static List<Event> events(TokenRequest pod) throws IOException {
        TokenRequest last = pod("last");
        RawHttp.askAsSdk(agent.port(), cluster.mint(last));
        while (eventsIn(last.namespace()).isEmpty()) {
            Thread.onSpinWait();
        }
        return eventsIn(pod.namespace());
    }

    private static List<Event> eventsIn(String namespace) {
        return cluster.api().client().v1().events().inNamespace(namespace).list().getItems();
    }

    @Test
    void aPodWithoutAnAssociationHasOneThatNamesTheCommandThatMakesIt() throws IOException {
        // Given
        TokenRequest pod = pod("cart");

        // When
        askTwentyTimes(cluster.mint(pod), 403);

        // Then
        assertThat(events(pod)).singleElement().satisfies(event -> {
            assertThat(event.getReason()).isEqualTo("CredentialsNoAssociation");
            assertThat(event.getMessage()).contains("aws eks create-pod-identity-association --cluster-name demo --namespace "
                    + pod.namespace() + " --service-account cart");
            assertThat(event.getMessage()).containsPattern("EKS Auth said: \"No association found .*\"\\. Request ID:"
                    + " [0-9a-f-]{36}$");
            assertThat(event.getType()).isEqualTo("Warning");
            assertThat(event.getInvolvedObject().getKind()).isEqualTo("Pod");
            assertThat(event.getInvolvedObject().getName()).isEqualTo("cart-1");
            assertThat(event.getInvolvedObject().getUid()).isEqualTo(pod.podUid());
            assertThat(event.getSource().getHost()).isEqualTo(Cluster.NODE);
        });
    }

    @Test
    void aPodThatIsDeniedHasOneThatNamesTheStatementThatTheRoleLacks() throws IOException {
        // Given
        TokenRequest pod = pod("cart");
        cluster.eksAuth().inject(new Fault.ErrorAnswer(EksAuthError.ACCESS_DENIED));

        // When
        askTwentyTimes(cluster.mint(pod), 403);
        cluster.eksAuth().heal();

        // Then
        assertThat(events(pod)).singleElement().satisfies(event -> {
            assertThat(event.getReason()).isEqualTo("CredentialsAccessDenied");
            assertThat(event.getMessage()).contains("pods.eks.amazonaws.com", "\"sts:AssumeRole\",\"sts:TagSession\"",
                    pod.namespace() + "/cart");
        });
    }

    @Test
    void eachPodOfAServiceAccountHasItsOwn() throws IOException {
        // Given
        TokenRequest first = pod("cart");
        TokenRequest second = cluster.request(first.namespace(), "cart", "cart-2");

        // When
        askTwentyTimes(cluster.mint(first), 403);
        askTwentyTimes(cluster.mint(second), 403);

        // Then
        assertThat(events(first)).extracting(event -> event.getInvolvedObject().getUid())
                .containsExactlyInAnyOrder(first.podUid(), second.podUid());
    }

    @Test
    void aFailureThatMayPassIsNotWorthOne() throws IOException {
        // Given
        TokenRequest pod = pod("cart");
        String token = cluster.mint(pod);
        cluster.eksAuth().injectFor(token, new Fault.ErrorAnswer(EksAuthError.THROTTLING));

        // When
        RawHttp.exchange(agent.port(), RawHttp.request(token));

        // Then
        assertThat(events(pod)).isEmpty();
    }

    @Test
    void aPolicyThatRefusesItIsNamedInOneWarning() throws IOException {
        // Given
        TokenRequest pod = pod("cart");
        String path = "/api/v1/namespaces/" + pod.namespace() + "/events";
        cluster.api().answer(path, 422, "{\"kind\":\"Status\",\"message\":\"ValidatingAdmissionPolicy 'no-events' with binding"
                + " 'no-events' denied request: no Events\",\"reason\":\"Invalid\",\"code\":422}");

        // When
        askTwentyTimes(cluster.mint(pod), 403);
        askTwentyTimes(cluster.mint(cluster.request(pod.namespace(), "cart", "cart-2")), 403);

        // Then
        String warning = agent.awaitLine(line -> line.contains("The API server rejects an Event"));
        assertThat(warning).contains("\"level\":\"warning\"", "\"namespace\":\"" + pod.namespace() + '"', "\"status\":422",
                "ValidatingAdmissionPolicy 'no-events'");
        assertThat(events(pod)).isEmpty();
        assertThat(agent.lines("The API server rejects an Event")).isOne();
    }

    @Test
    void anApiServerThatHasJustStartedGetsItWithinSeconds() throws IOException {
        // Given: an API server that refuses everyone until it has read the roles
        TokenRequest pod = pod("cart");
        String path = "/api/v1/namespaces/" + pod.namespace() + "/events";
        cluster.api().answer(path, request -> {
            cluster.api().answerFromObjects(path);
            request.response().setStatusCode(403).end("{}");
        });

        // When
        String token = cluster.mint(pod);
        do {
            askTwentyTimes(token, 403);
        } while (eventsIn(pod.namespace()).isEmpty());

        // Then
        assertThat(cluster.api().received("POST " + path)).isGreaterThan(1);
        assertThat(agent.lines("No Event can be recorded")).isZero();
    }

    @Test
    void nobodyPutsOneOnAnothersPod() throws IOException, JoseException {
        // Given
        TokenRequest pod = pod("cart");
        String genuine = cluster.mint(pod);
        String changed = ForgedTokens.withClaims(genuine, Cluster.claims(genuine).put("jti", "forged"));
        String unknown = new ForgedTokens().signed(genuine, "made-up");

        // When
        askTwentyTimes(changed, 400);
        askTwentyTimes(unknown, 400);

        // Then
        assertThat(cluster.eksAuth().calls(unknown)).as("EKS Auth has judged it").isPositive();
        assertThat(events(pod)).isEmpty();
    }
}
