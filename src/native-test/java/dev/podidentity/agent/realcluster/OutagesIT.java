package dev.podidentity.agent.realcluster;

import static dev.podidentity.agent.realcluster.RealNode.ask;
import static dev.podidentity.agent.realcluster.RealNode.askUntil;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.AgentProcess;
import dev.podidentity.agent.ForgedTokens;
import dev.podidentity.emulator.TokenRequest.Algorithm;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.Taint;
import io.vertx.core.json.JsonObject;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/** Checks that pods are served while the API server is unreachable. The cases run concurrently. */
@NeedsRealCluster
@Timeout(420)
class OutagesIT {

    private static final String SYNCED = "pod_identity_pods_synced";
    private static final String EXPIRED = "pod_identity_pod_watch_ends_total{cause=\"expired\",}";
    private static final Taint STARTUP = new Taint("NoSchedule", "pods.eks.amazonaws.com/agent-not-ready", null, null);
    private static final Duration PACE = Duration.ofMillis(100);
    /** Three minutes of silence, plus a margin for a slow machine. */
    private static final Duration SILENCE_NOTICED = Duration.ofSeconds(225);

    /** The pods of a node, one of which has been deleted, as the agent knows. */
    private static final class Pods {

        private final RealCluster cluster;
        private final AgentProcess agent;
        private final Pod living;
        private final String token;
        private final String secondToken;
        private final String credentials;
        private final String deadToken;
        private final String forged;
        /** The token of a pod that has not used the agent yet. */
        private final String young;

        Pods(RealCluster cluster, RealNode node, AgentProcess agent) {
            this.cluster = cluster;
            this.agent = agent;
            String namespace = cluster.namespace();
            living = node.pod(namespace, "living");
            token = cluster.token(living);
            secondToken = cluster.token(living);
            credentials = ask(agent, token).body();
            Pod dead = node.pod(namespace, "dead");
            deadToken = cluster.token(dead);
            cluster.forceDelete(dead);
            askUntil(403, agent, deadToken);
            forged = ForgedTokens.withClaims(token, new JsonObject().put("sub", "forged"));
            Pod youngPod = node.pod(namespace, "young");
            young = cluster.token(youngPod);
        }

        /** Sends the pods' requests for a while and asserts that each one always gets the right response. */
        void assertServedFor(Duration time) {
            long end = System.nanoTime() + time.toNanos();
            do {
                assertServed();
                LockSupport.parkNanos(PACE.toNanos());
            } while (System.nanoTime() - end < 0);
        }

        void assertServed() {
            for (String each : List.of(token, secondToken, young)) {
                assertThat(ask(agent, each).body()).as("credentials shared by the service account's pods").isEqualTo(credentials);
            }
            assertThat(ask(agent, deadToken).status()).isEqualTo(403);
            assertThat(ask(agent, forged).status()).isEqualTo(400);
        }

        /** Asserts that the agent notices the deletion of a pod. */
        void assertDeathIsHeard() {
            cluster.forceDelete(living);
            askUntil(403, agent, token);
        }
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void anApiServerThatIsAwayForAMinute() {
        try (RealCluster cluster = RealCluster.start(RealCluster.directory("away"))) {
            RealNode node = cluster.node();
            try (AgentProcess agent = node.verifyingAgent()) {
                // Given
                Pods pods = new Pods(cluster, node, agent);

                // When
                cluster.api().kill();

                // Then
                pods.assertServedFor(Duration.ofMinutes(1));
                assertThat(agent.metric(SYNCED)).isZero();
                assertThat(agent.lines("\"level\":\"warning\"", "The pods of this node cannot be watched")).isOne();

                // When
                cluster.api().restart();

                // Then
                Wait.until("the agent watches the pods again", () -> agent.metric(SYNCED) == 1);
                pods.assertServed();
                pods.assertDeathIsHeard();
            }
        }
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void anApiServerThatIsKilledAndHasForgottenTheVersionsSince() {
        try (RealCluster cluster = RealCluster.onAnEtcdOfItsOwn(RealCluster.directory("compacted"))) {
            String[] flags = cluster.signing(Algorithm.RS256, Algorithm.RS256);
            cluster.api().start(flags);
            cluster.apply();
            RealNode node = cluster.node();
            try (ApiServerProcess second = cluster.secondApi(); AgentProcess agent = node.verifyingAgent()) {
                // Given
                Pods pods = new Pods(cluster, node, agent);
                assertThat(cluster.api().agentsCalls("list", node.name())).isOne();
                second.start(flags);

                // When: a pod is deleted while the agent's API server is down
                cluster.api().kill();
                second.administrator().pods().resource(pods.living).withGracePeriod(0).delete();
                cluster.etcd().compact(second.directory());
                assertThat(ask(agent, pods.token).body()).as("the agent does not know of it yet").isEqualTo(pods.credentials);
                cluster.api().restart();

                // Then
                askUntil(403, agent, pods.token);
                assertThat(agent.metric(EXPIRED)).isOne();
                assertThat(cluster.api().agentsCalls("list", node.name())).isEqualTo(2);
                assertThat(ask(agent, pods.young).status()).isEqualTo(200);
            }
        }
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void anApiServerThatStandsStillForHalfAMinute() {
        try (RealCluster cluster = RealCluster.start(RealCluster.directory("frozen"))) {
            RealNode node = cluster.node();
            try (AgentProcess agent = node.verifyingAgent()) {
                // Given
                Pods pods = new Pods(cluster, node, agent);

                // When
                cluster.api().freeze();

                // Then
                pods.assertServedFor(Duration.ofSeconds(30));

                // When
                cluster.api().thaw();

                // Then
                pods.assertServed();
                pods.assertDeathIsHeard();
                assertThat(cluster.api().agentsCalls("list", node.name())).isOne();
            }
        }
    }

    /** Connections stay open but carry nothing, as when a firewall has lost their state. */
    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void aNetworkThatLosesEverything(RealCluster cluster) {
        RealNode node = cluster.node();
        try (TcpProxy way = new TcpProxy(cluster.api().port()); AgentProcess agent = node.verifyingAgent(way.url())) {
            // Given
            Pods pods = new Pods(cluster, node, agent);

            // When
            way.swallow();
            cluster.forceDelete(pods.living);

            // Then
            pods.assertServed();
            Wait.until("the agent notices the silence", SILENCE_NOTICED, () -> agent.metric(SYNCED) == 0);
            pods.assertServed();

            // When
            way.pass();

            // Then
            askUntil(403, agent, pods.token);
            assertThat(ask(agent, pods.young).status()).isEqualTo(200);
            assertThat(cluster.api().agentsCalls("list", node.name())).as("the watch resumes without another list").isOne();
        }
    }

    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void anotherApiServerTakesOver() {
        try (RealCluster cluster = RealCluster.onAnEtcdOfItsOwn(RealCluster.directory("failover"))) {
            String[] flags = cluster.signing(Algorithm.RS256, Algorithm.RS256);
            cluster.api().start(flags);
            cluster.apply();
            RealNode node = cluster.node();
            try (ApiServerProcess second = cluster.secondApi().start(flags);
                    TcpProxy way = new TcpProxy(cluster.api().port());
                    AgentProcess agent = node.verifyingAgent(way.url())) {
                // Given
                Pods pods = new Pods(cluster, node, agent);

                // When
                way.leadTo(second.port());
                cluster.api().kill();
                second.administrator().pods().resource(pods.living).withGracePeriod(0).delete();

                // Then
                askUntil(403, agent, pods.token);
                assertThat(ask(agent, pods.young).status()).isEqualTo(200);
                assertThat(second.agentsCalls("watch", node.name())).isPositive();
                assertThat(second.agentsCalls("list", node.name())).as("the watch resumes without another list").isZero();
            }
        }
    }

    /** A starting API server responds with 403 until it has read the cluster's roles, too briefly to test with a real one. */
    @Test
    @Execution(ExecutionMode.CONCURRENT)
    void anApiServerThatHasJustStartedRefusesEverybody(RealCluster cluster) {
        RealNode node = cluster.node(STARTUP);
        try (RefusingApiServer starting = RefusingApiServer.start(cluster.api());
                TcpProxy way = new TcpProxy(starting.port());
                AgentProcess agent = node.agent(way.url(), "--token-verification", "jwks", "--pod-watch", "--events",
                        "--startup-taint", STARTUP.getKey())) {
            // When: the requests for keys, pods and the node have all been refused
            Wait.until("all features have sent a request", () -> starting.refused().containsAll(List.of(
                    "/openid/v1/jwks", "/api/v1/pods", "/api/v1/nodes/" + node.name())));
            way.leadTo(cluster.api().port());
            way.pass();

            // Then
            RealNode.awaitWatch(agent);
            node.awaitVerified(agent);
            Wait.until("the taint is removed", () -> !node.taints().contains(STARTUP));
            assertThat(agent.lines("The agent is not allowed to watch the pods")).isZero();
            // A response that the change of servers cut off is another problem, which may be logged.
            assertThat(agent.lines("The startup taint cannot be removed", "HTTP 403")).isZero();
        }
    }
}
