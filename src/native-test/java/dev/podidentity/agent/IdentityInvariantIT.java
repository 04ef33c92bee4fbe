package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.emulator.EksAuthError;
import dev.podidentity.emulator.Fault;
import dev.podidentity.emulator.TokenRequest;
import dev.podidentity.emulator.TokenRequest.Algorithm;
import io.fabric8.kubernetes.api.model.Pod;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jose4j.lang.JoseException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * No request receives an entry that was fetched for another identity, although there are many pods, forgers and thieves,
 * pods are deleted, EKS Auth fails and the API server comes and goes. The credentials from the EKS Auth emulator name their
 * owner.
 */
@Timeout(120)
class IdentityInvariantIT {

    private static final int CLIENTS = 8;
    private static final int STEPS = 100;
    private static final int SERVICE_ACCOUNTS = 4;
    private static final int PODS_OF_EACH = 5;

    @TempDir
    private Path directory;

    private final ExecutorService clients = Executors.newFixedThreadPool(CLIENTS + 1);
    private final List<Pod> pods = new CopyOnWriteArrayList<>();
    /** The UIDs of pods that were rejected once because they are gone, and that must be rejected from then on. */
    private final Set<String> gone = ConcurrentHashMap.newKeySet();
    private Cluster cluster;
    private ForgedTokens forger;

    @BeforeEach
    void start() throws IOException, InterruptedException, JoseException {
        cluster = Cluster.start(directory);
        forger = new ForgedTokens();
        for (int account = 0; account < SERVICE_ACCOUNTS; account++) {
            cluster.eksAuth().associate(Emulators.NAMESPACE, "sa" + account, "arn:aws:iam::123456789012:role/role-sa" + account);
            for (int pod = 0; pod < PODS_OF_EACH; pod++) {
                pods.add(cluster.createPod("sa" + account, "pod" + account + pod));
            }
        }
    }

    @AfterEach
    void stop() {
        clients.shutdownNow();
        cluster.close();
    }

    @ParameterizedTest(name = "--coalesce {0}, seed {1}")
    @CsvSource({"role, 1", "pod, 2"})
    void noRequestReceivesAnEntryFetchedForAnotherIdentity(String scope, long seed)
            throws ExecutionException, InterruptedException {
        boolean byPod = scope.equals("pod");
        try (AgentProcess agent = cluster.verifyingAgent("--coalesce", scope, "--pod-watch")) {
            agent.awaitLine(line -> line.contains("Watching the pods of this node"));

            // When
            List<Callable<Integer>> tasks = new ArrayList<>();
            for (int client = 0; client < CLIENTS; client++) {
                Random random = new Random(seed * CLIENTS + client);
                tasks.add(() -> ask(agent, byPod, random));
            }
            tasks.add(() -> disturb(new Random(-seed)));
            int served = 0;
            for (Future<Integer> task : clients.invokeAll(tasks)) {
                // Throws what a client found.
                served += task.get();
            }

            // Then
            assertThat(served).as("requests that got credentials").isGreaterThan(CLIENTS * STEPS / 4);
            assertThat(agent.lines("\"level\":\"error\"")).isZero();
        }
    }

    /** Sends requests as a node's pods do, some of which are malicious. */
    private int ask(AgentProcess agent, boolean byPod, Random random) throws IOException, JoseException {
        int served = 0;
        try (RawHttp http = new RawHttp(agent.port())) {
            for (int step = 0; step < STEPS; step++) {
                Pod pod = pods.get(random.nextInt(pods.size()));
                boolean refusedBefore = gone.contains(pod.getMetadata().getUid());
                TokenRequest genuine = cluster.request(pod)
                        .withAlgorithm(random.nextBoolean() ? Algorithm.RS256 : Algorithm.ES256);
                String forged = forged(genuine, random.nextInt(24));
                RawHttp.Answer answer = http.send(RawHttp.request(forged.isEmpty() ? cluster.mint(genuine) : forged)).answer();
                if (!forged.isEmpty() || refusedBefore) {
                    assertThat(answer.status()).as(answer.body()).isNotEqualTo(200);
                } else if (answer.status() == 200) {
                    assertThat(new JsonObject(answer.body()).getString("Token")).startsWith("emulated-session-role-"
                            + genuine.serviceAccount() + '-' + (byPod ? genuine.pod() + '-' : ""));
                    served++;
                } else if (answer.status() == 403) {
                    assertThat(answer.body()).contains("The token's pod no longer exists");
                    gone.add(pod.getMetadata().getUid());
                } else {
                    assertThat(answer.status()).as(answer.body()).isEqualTo(503);
                }
            }
        }
        return served;
    }

    /** Returns a token that must get nothing; empty for the genuine token. */
    private String forged(TokenRequest victim, int kind) throws JoseException {
        Pod other = pods.get(0);
        return switch (kind) {
            case 0 -> ForgedTokens.withClaims(cluster.mint(cluster.request(other)), Cluster.claims(cluster.mint(victim)));
            case 1 -> cluster.mint(victim.withNode("node-2"));
            case 2 -> forger.signed(cluster.mint(victim), ForgedTokens.header(cluster.mint(victim)).getString("kid"));
            case 3 -> forger.signed(cluster.mint(victim), "made-up");
            default -> "";
        };
    }

    /** Causes events around the agent. */
    private int disturb(Random random) {
        for (int step = 0; step < STEPS / 5; step++) {
            switch (random.nextInt(6)) {
                case 0 -> cluster.eksAuth().inject(new Fault.ErrorAnswer(EksAuthError.THROTTLING), 2);
                case 1 -> cluster.eksAuth().inject(new Fault.Reset(), 1);
                case 2 -> cluster.eksAuth().inject(new Fault.Latency(Duration.ofMillis(100)), 3);
                case 3 -> cluster.delete(pods.get(random.nextInt(pods.size())));
                case 4 -> {
                    // Its pods restart, each under a name that may have belonged to a deleted pod.
                    int index = random.nextInt(pods.size());
                    Pod old = pods.get(index);
                    cluster.delete(old);
                    pods.set(index, cluster.createPod(old.getSpec().getServiceAccountName(), old.getMetadata().getName()));
                }
                default -> {
                    cluster.api().stop();
                    cluster.api().restart();
                }
            }
        }
        return 0;
    }
}
