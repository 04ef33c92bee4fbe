package dev.podidentity.agent.realcluster;

import dev.podidentity.agent.AgentProcess;
import dev.podidentity.agent.RawHttp;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.Taint;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;

/**
 * Represents a node of a {@link RealCluster}, with its agent's pod, the service account files that kubelet mounts into it, and
 * the pods that the agent serves.
 */
final class RealNode {

    private static final String VERIFIED = "pod_identity_token_verifications_total{verdict=\"verified\",}";

    private final RealCluster cluster;
    private final String name;
    private final Path serviceAccount;
    private Optional<Pod> agentPod = Optional.empty();

    RealNode(RealCluster cluster, String name, Path serviceAccount) {
        this.cluster = cluster;
        this.name = name;
        this.serviceAccount = serviceAccount;
    }

    String name() {
        return name;
    }

    /** Returns the directory with the agent's token and the API server's CA certificate. */
    Path serviceAccount() {
        return serviceAccount;
    }

    /** Returns the agent's pod on this node, and creates it first if it does not exist. */
    Pod agentPod() {
        if (agentPod.isEmpty()) {
            agentPod = Optional.of(cluster.run(RealCluster.podOn(name, RealCluster.SYSTEM, RealCluster.AGENT,
                    RealCluster.AGENT + '-' + UUID.randomUUID().toString().substring(0, 5)).build()));
        }
        return agentPod.get();
    }

    /** Replaces the agent's pod, which invalidates the tokens of the old pod. */
    Pod replaceAgentPod() {
        agentPod.ifPresent(cluster::forceDelete);
        agentPod = Optional.empty();
        return agentPod();
    }

    /** Requests a token for the API server, as kubelet does for the agent. */
    String agentToken() {
        return cluster.token(agentPod(), RealCluster.ISSUER);
    }

    /** Mounts the files that the agent needs to call the API server. */
    RealNode mount() {
        mount("token", agentToken());
        try {
            mount("ca.crt", Files.readString(cluster.api().authority()));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return this;
    }

    /** Replaces a file in the mounted directory atomically, as kubelet does. */
    void mount(String file, String content) {
        try {
            Path young = Files.writeString(Files.createDirectories(serviceAccount).resolve(file + ".new"), content);
            Files.move(young, serviceAccount.resolve(file), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Starts the agent on this node and waits until it can call EKS Auth. */
    AgentProcess agent(String... flags) {
        return agent(cluster.api().url(), flags);
    }

    /** Starts an agent with another API server URL. */
    AgentProcess agent(URI apiServer, String... flags) {
        if (Files.notExists(serviceAccount)) {
            mount();
        }
        List<String> all = new ArrayList<>(
                List.of("--api-server", apiServer.toString(), "--service-account-path", serviceAccount.toString()));
        all.addAll(List.of(flags));
        Map<String, String> environment = Map.of("NODE_NAME", name);
        return cluster.logged(name, AgentProcess.start(cluster.eksAuth(), environment, all.toArray(String[]::new)));
    }

    /** Starts an agent with JWKS verification and the pod watch, and waits until both work. */
    AgentProcess verifyingAgent(String... flags) {
        return verifyingAgent(cluster.api().url(), flags);
    }

    AgentProcess verifyingAgent(URI apiServer, String... flags) {
        List<String> all = new ArrayList<>(List.of("--token-verification", "jwks", "--pod-watch"));
        all.addAll(List.of(flags));
        AgentProcess agent = agent(apiServer, all.toArray(String[]::new));
        awaitWatch(agent);
        awaitVerified(agent);
        return agent;
    }

    static void awaitWatch(AgentProcess agent) {
        agent.awaitLine(line -> line.contains("Watching the pods of this node"));
    }

    /** Waits until the agent verifies a token in time. Before its code is warm, verification can exceed the agent's timeout. */
    void awaitVerified(AgentProcess agent) {
        String namespace = cluster.namespace();
        cluster.eksAuth().disassociate(namespace, RealCluster.SERVICE_ACCOUNT);
        String token = cluster.token(pod(namespace, "warm-up"));
        double before = agent.metric(VERIFIED);
        Wait.until("the agent verifies a token", () -> {
            ask(agent, token);
            return agent.metric(VERIFIED) > before;
        });
    }

    /** Returns the current taints, one of which the API server itself adds. */
    List<Taint> taints() {
        return cluster.administrator().nodes().withName(name).get().getSpec().getTaints();
    }

    /** Runs a pod on this node, with the service account that has an association. */
    Pod pod(String namespace, String podName) {
        return pod(namespace, RealCluster.SERVICE_ACCOUNT, podName);
    }

    Pod pod(String namespace, String account, String podName) {
        return cluster.run(RealCluster.podOn(name, namespace, account, podName).build());
    }

    static RawHttp.Answer ask(AgentProcess agent, String token) {
        try {
            return RawHttp.askAsSdk(agent.port(), token);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Repeats a request until the response has this status, because the agent may take a while to notice a change. */
    static RawHttp.Answer askUntil(int status, AgentProcess agent, String token) {
        return Wait.until("the status is " + status, () -> ask(agent, token), answer -> answer.status() == status);
    }
}
