package dev.podidentity.agent;

import static dev.podidentity.agent.RawHttp.request;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.emulator.EksAuthError;
import dev.podidentity.emulator.Fault;
import dev.podidentity.emulator.TokenRequest;
import dev.podidentity.emulator.TokenRequest.Algorithm;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Which pods share credentials once tokens are verified, and which never do. */
class SharedCredentialsIT {

    private static final int PODS = 50;
    private static final Duration KUBELET_REPLACES_AFTER = Duration.ofHours(19);

    @TempDir
    private static Path directory;

    private static Cluster cluster;
    private static AgentProcess sharing;
    private static AgentProcess byPod;
    private static AgentProcess byToken;

    @BeforeAll
    static void start() throws IOException, InterruptedException {
        cluster = Cluster.start(directory);
        sharing = cluster.verifyingAgent();
        byPod = cluster.verifyingAgent("--coalesce", "pod");
        byToken = cluster.verifyingAgent("--coalesce", "token");
    }

    @AfterAll
    static void stop() {
        byToken.close();
        byPod.close();
        sharing.close();
        cluster.close();
    }

    @AfterEach
    void heal() {
        cluster.eksAuth().heal();
        cluster.eksAuth().resetCounts();
    }

    /** Returns a service account that no other test uses, with an association. */
    private static String serviceAccount() {
        String name = "sa-" + UUID.randomUUID();
        cluster.eksAuth().associate(Emulators.NAMESPACE, name, "arn:aws:iam::123456789012:role/" + name);
        return name;
    }

    private static TokenRequest pod(String serviceAccount, String pod) {
        return cluster.request(Emulators.NAMESPACE, serviceAccount, pod);
    }

    private static List<String> tokensOf(String serviceAccount) {
        List<String> tokens = new ArrayList<>();
        for (int i = 0; i < PODS; i++) {
            tokens.add(cluster.mint(pod(serviceAccount, "pod-" + i)));
        }
        return tokens;
    }

    /** Sends all requests before it reads the first response; an SDK's retries follow. */
    private static List<RawHttp.Answer> askAtOnce(AgentProcess agent, List<String> tokens) throws IOException {
        List<RawHttp> connections = new ArrayList<>();
        for (String token : tokens) {
            connections.add(new RawHttp(agent.port()).send(request(token)));
        }
        List<RawHttp.Answer> answers = new ArrayList<>();
        for (int i = 0; i < tokens.size(); i++) {
            try (RawHttp connection = connections.get(i)) {
                RawHttp.Answer answer = connection.answer();
                answers.add(answer.status() == 503 ? connection.askAsSdk(tokens.get(i)) : answer);
            }
        }
        return answers;
    }

    private static RawHttp.Answer ask(AgentProcess agent, TokenRequest pod) throws IOException {
        return RawHttp.askAsSdk(agent.port(), cluster.mint(pod));
    }

    private static int calls() {
        return cluster.eksAuth().calls();
    }

    @Test
    void fiftyPodsOfOneServiceAccountCostOneCall() throws IOException {
        // Given
        cluster.eksAuth().inject(new Fault.Latency(Duration.ofMillis(200)));

        // When
        List<RawHttp.Answer> answers = askAtOnce(sharing, tokensOf(serviceAccount()));

        // Then
        assertThat(answers).allSatisfy(answer -> assertThat(answer.status()).isEqualTo(200));
        assertThat(answers).extracting(RawHttp.Answer::body).containsOnly(answers.get(0).body());
        assertThat(calls()).isOne();
    }

    @Test
    void fiftyPodsShareOneRefusalToo() throws IOException {
        // Given
        cluster.eksAuth().inject(Fault.after(Duration.ofMillis(200), new Fault.ErrorAnswer(EksAuthError.ACCESS_DENIED)));

        // When
        List<RawHttp.Answer> answers = askAtOnce(sharing, tokensOf(serviceAccount()));

        // Then
        assertThat(answers).allSatisfy(answer -> assertThat(answer.status()).isEqualTo(403));
        assertThat(calls()).isOne();
    }

    @Test
    void withTheScopePodEachPodHasItsOwn() throws IOException {
        // When
        List<RawHttp.Answer> answers = askAtOnce(byPod, tokensOf(serviceAccount()));

        // Then
        assertThat(answers).allSatisfy(answer -> assertThat(answer.status()).isEqualTo(200));
        assertThat(answers).extracting(RawHttp.Answer::body).doesNotHaveDuplicates();
        for (int i = 0; i < PODS; i++) {
            assertThat(new JsonObject(answers.get(i).body()).getString("Token")).contains("-pod-" + i + "-");
        }
        assertThat(calls()).isEqualTo(PODS);
    }

    @Test
    void withTheScopeTokenEachTokenHasItsOwn() throws IOException {
        // Given
        TokenRequest pod = pod(serviceAccount(), "pod-1");

        // When
        RawHttp.Answer first = ask(byToken, pod);
        RawHttp.Answer second = ask(byToken, pod);

        // Then
        assertThat(second.status()).isEqualTo(200);
        assertThat(second.body()).isNotEqualTo(first.body());
        assertThat(calls()).isEqualTo(2);
    }

    @Test
    void aRotatedTokenFindsItsPodsCredentialsWhileEksAuthIsDown() throws IOException {
        for (AgentProcess agent : List.of(sharing, byPod)) {
            // Given
            TokenRequest pod = pod(serviceAccount(), "pod-1");
            RawHttp.Answer before = ask(agent, pod.withIssuedAt(pod.issuedAt().minus(KUBELET_REPLACES_AFTER)));
            cluster.eksAuth().inject(new Fault.Reset());
            cluster.eksAuth().resetCounts();

            // When
            RawHttp.Answer after = ask(agent, pod);

            // Then
            assertThat(after.status()).isEqualTo(200);
            assertThat(after.body()).isEqualTo(before.body());
            assertThat(calls()).isZero();
            cluster.eksAuth().heal();
        }
    }

    @Test
    void tokensOfAllAlgorithmsProveTheSameWorkload() throws IOException {
        // Given
        TokenRequest pod = pod(serviceAccount(), "pod-1");

        // When
        RawHttp.Answer rsa = ask(sharing, pod.withAlgorithm(Algorithm.RS256));
        RawHttp.Answer ec = ask(sharing, pod.withAlgorithm(Algorithm.ES256));

        // Then
        assertThat(ec.status()).isEqualTo(200);
        assertThat(ec.body()).isEqualTo(rsa.body());
        assertThat(calls()).isOne();
    }

    @Test
    void twoServiceAccountsNeverShare() throws IOException {
        assertDoNotShare(pod(serviceAccount(), "pod-1"), pod(serviceAccount(), "pod-1"));
    }

    @Test
    void twoNamespacesNeverShare() throws IOException {
        String name = serviceAccount();
        cluster.eksAuth().associate("another", name, "arn:aws:iam::123456789012:role/another");

        assertDoNotShare(pod(name, "pod-1"), cluster.request("another", name, "pod-1"));
    }

    @Test
    void aServiceAccountThatIsMadeAnewDoesNotShareWithTheOldOne() throws IOException {
        TokenRequest pod = pod(serviceAccount(), "pod-1");

        assertDoNotShare(pod, pod.withServiceAccountUid(UUID.randomUUID().toString()));
    }

    @Test
    void aPodOfTheSameNameDoesNotFindTheOldOnesCredentialsWithTheScopePod() throws IOException {
        TokenRequest pod = pod(serviceAccount(), "pod-1");
        RawHttp.Answer old = ask(byPod, pod);

        RawHttp.Answer young = ask(byPod, pod.withPodUid(UUID.randomUUID().toString()));

        assertThat(young.status()).isEqualTo(200);
        assertThat(young.body()).isNotEqualTo(old.body());
    }

    private static void assertDoNotShare(TokenRequest one, TokenRequest other) throws IOException {
        // When
        List<RawHttp.Answer> answers = askAtOnce(sharing, List.of(cluster.mint(one), cluster.mint(other)));
        List<RawHttp.Answer> again = askAtOnce(sharing, List.of(cluster.mint(one), cluster.mint(other)));

        // Then
        assertThat(answers).allSatisfy(answer -> assertThat(answer.status()).isEqualTo(200));
        assertThat(answers.get(0).body()).isNotEqualTo(answers.get(1).body());
        assertThat(again).extracting(RawHttp.Answer::body).containsExactly(answers.get(0).body(), answers.get(1).body());
        assertThat(calls()).isEqualTo(2);
    }
}
