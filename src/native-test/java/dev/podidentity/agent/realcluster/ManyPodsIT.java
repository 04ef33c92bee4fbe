package dev.podidentity.agent.realcluster;

import static dev.podidentity.agent.realcluster.RealNode.ask;
import static dev.podidentity.agent.realcluster.RealNode.askUntil;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.AgentProcess;
import dev.podidentity.agent.realcluster.ApiServerProcess.Audited;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodBuilder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Tests a full node in a large cluster. */
@NeedsRealCluster
class ManyPodsIT {

    private static final int HERE = 250;
    private static final int ELSEWHERE = 5_000;
    private static final int MADE_AND_DELETED = 500;
    /** The size of each local pod's specification, which the agent does not request. */
    private static final int SPECIFICATION_BYTES = 100_000;
    private static final int AT_ONCE = 8;
    private static final Duration PATIENCE = Duration.ofSeconds(120);

    private static final ExecutorService THREADS = Executors.newFixedThreadPool(AT_ONCE);

    private static RealCluster cluster;
    private static RealNode node;
    private static String namespace;
    private static List<Pod> pods;

    @BeforeAll
    static void fill(RealCluster shared) {
        cluster = shared;
        node = cluster.node().mount();
        namespace = cluster.namespace();
        RealNode other = cluster.node();
        each(ELSEWHERE, number -> cluster.administrator().resource(
                RealCluster.podOn(other.name(), namespace, RealCluster.SERVICE_ACCOUNT, "elsewhere-" + number).build()).create());
        String large = "x".repeat(SPECIFICATION_BYTES);
        pods = each(HERE, number -> cluster.run(new PodBuilder(
                        RealCluster.podOn(node.name(), namespace, RealCluster.SERVICE_ACCOUNT, "here-" + number).build())
                .editSpec().editFirstContainer().addNewEnv().withName("LARGE").withValue(large).endEnv().endContainer().endSpec()
                .build()));
    }

    @AfterAll
    static void end() {
        THREADS.shutdownNow();
    }

    /** Runs an action a number of times, several at once. */
    private static <T> List<T> each(int times, IntFunction<T> action) {
        List<Callable<T>> tasks = IntStream.range(0, times)
                .mapToObj(number -> (Callable<T>) () -> action.apply(number)).toList();
        try {
            List<Future<T>> done = THREADS.invokeAll(tasks);
            List<T> results = new ArrayList<>();
            for (Future<T> each : done) {
                results.add(each.get());
            }
            return results;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        } catch (ExecutionException e) {
            throw new IllegalStateException(e.getCause());
        }
    }

    private static double known(AgentProcess agent) {
        return agent.metric("pod_identity_pods");
    }

    @Test
    void onlyThoseOfThisNodeAreListedAndOnlyTheirMetadata() {
        // When
        try (TcpProxy way = new TcpProxy(cluster.api().port()); AgentProcess agent = node.agent(way.url(), "--pod-watch")) {
            RealNode.awaitWatch(agent);

            // Then: the known pods include the agent's own pod
            assertThat(known(agent)).isEqualTo(HERE + 1);
            assertThat(calls()).isNotEmpty().allSatisfy(call -> {
                assertThat(call.status()).isEqualTo(200);
                assertThat(call.path()).contains("fieldSelector=spec.nodeName%3D" + node.name());
                assertThat(call.userAgent()).startsWith("eks-pod-identity-agent/");
            });
            assertThat(way.received()).as("bytes received; the specifications alone would be ten times the limit")
                    .isLessThan(SPECIFICATION_BYTES * HERE / 10L);
            long afterList = way.received();
            long memory = anonymousMemory(agent);

            // When: the watch reports a change of each pod
            each(HERE, number -> cluster.administrator().resource(pods.get(number)).edit(now -> new PodBuilder(now)
                    .editMetadata().addToLabels("changed", "yes").endMetadata().build()));
            Pod last = node.pod(namespace, "last");
            Wait.until("the agent knows the last pod", () -> known(agent) == HERE + 2);

            // Then
            assertThat(way.received() - afterList).isLessThan(SPECIFICATION_BYTES * HERE / 10L);
            assertTakesNothing(agent, memory);
            assertThat(ask(agent, cluster.token(pods.get(0))).status()).isEqualTo(200);
            String token = cluster.token(last);
            cluster.forceDelete(last);
            askUntil(403, agent, token);
        }
    }

    private static List<Audited> calls() {
        return cluster.api().audited(RealCluster.AGENT_USER).stream()
                .filter(call -> call.path().startsWith("/api/v1/pods?") && call.path().contains(node.name()))
                .toList();
    }

    @Test
    void podsThatComeAndGoAreAllHeardOfAndTakeNoMemory() {
        try (AgentProcess agent = node.agent("--pod-watch")) {
            // Given
            RealNode.awaitWatch(agent);
            double before = known(agent);
            long memory = anonymousMemory(agent);

            // When
            List<Pod> young = each(MADE_AND_DELETED, number -> node.pod(namespace, "young-" + number));
            Wait.until("the agent knows all pods", PATIENCE, () -> known(agent) == before + MADE_AND_DELETED);
            String first = cluster.token(young.get(0));
            String last = cluster.token(young.get(MADE_AND_DELETED - 1));
            assertThat(ask(agent, first).status()).isEqualTo(200);
            each(MADE_AND_DELETED, number -> {
                cluster.forceDelete(young.get(number));
                return number;
            });

            // Then
            Wait.until("the agent has forgotten the deleted pods", PATIENCE, () -> known(agent) == before);
            askUntil(403, agent, first);
            askUntil(403, agent, last);
            assertThat(agent.metric("pod_identity_pods_synced")).isOne();
            assertThat(agent.metric("pod_identity_cache_entries")).isZero();
            assertTakesNothing(agent, memory);
        }
    }

    /** Asserts that memory grows by less than the pods' specifications. Skipped on a JVM, which uses all the memory it may. */
    private static void assertTakesNothing(AgentProcess agent, long memoryBefore) {
        if (System.getProperty("agent.executable") != null) {
            assertThat(anonymousMemory(agent) - memoryBefore).as("growth of memory in bytes")
                    .isLessThan((long) SPECIFICATION_BYTES * HERE);
        }
    }

    private static long anonymousMemory(AgentProcess agent) {
        try {
            return Files.readAllLines(Path.of("/proc", Long.toString(agent.pid()), "status")).stream()
                    .filter(line -> line.startsWith("RssAnon:"))
                    .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) * 1024)
                    .findFirst().orElseThrow();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
