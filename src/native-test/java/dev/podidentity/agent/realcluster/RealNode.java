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
 * A node of a {@link RealCluster}: its agent's pod, the service account that kubelet mounts into that, and the pods that the
 * agent serves.
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

    /** The directory with the agent's token and the API server's authority. */
    Path serviceAccount() {
        return serviceAccount;
    }

    /** The agent's pod here, which is created if it is not there. */
    Pod agentPod() {
        if (agentPod.isEmpty()) {
            agentPod = Optional.of(cluster.run(RealCluster.podOn(name, RealCluster.SYSTEM, RealCluster.AGENT,
                    RealCluster.AGENT + '-' + UUID.randomUUID().toString().substring(0, 5)).build()));
        }
        return agentPod.get();
    }

    /** Creates the agent's pod anew, so that the tokens of the old one are good no more. */
    Pod replaceAgentPod() {
        agentPod.ifPresent(cluster::forceDelete);
        agentPod = Optional.empty();
        return agentPod();
    }

    /** A token for the API server, as kubelet gives it to the agent. */
    String agentToken() {
        return cluster.token(agentPod(), RealCluster.ISSUER);
    }

    /** Mounts what the agent needs to call the API server. */
    RealNode mount() {
        mount("token", agentToken());
        try {
            mount("ca.crt", Files.readString(cluster.api().authority()));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return this;
    }

    /** Puts a file into the mounted directory at once, as kubelet does. */
    void mount(String file, String content) {
        try {
            Path young = Files.writeString(Files.createDirectories(serviceAccount).resolve(file + ".new"), content);
            Files.move(young, serviceAccount.resolve(file), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Starts the agent here, and waits until it can call EKS Auth. */
    AgentProcess agent(String... flags) {
        return agent(cluster.api().url(), flags);
    }

    /** Starts one that finds the API server elsewhere. */
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

    /** Starts one that has everything switched on but Events and the taint, and waits until all of it works. */
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

    /** Waits until the agent verifies a token in time; where its code is cold, the first ones take longer than it waits. */
    void awaitVerified(AgentProcess agent) {
        String namespace = cluster.namespace();
        cluster.eksAuth().disassociate(namespace, RealCluster.SERVICE_ACCOUNT);
        String token = cluster.token(pod(namespace, "warm-up"));
        double before = agent.metric(VERIFIED);
        Wait.until("a token is verified", () -> {
            ask(agent, token);
            return agent.metric(VERIFIED) > before;
        });
    }

    /** The taints that it has now, of which the API server itself gives it one. */
    List<Taint> taints() {
        return cluster.administrator().nodes().withName(name).get().getSpec().getTaints();
    }

    /** A pod of this node that runs, of the service account that has an association. */
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

    /** Asks until the answer has this status, as it may take a while until the agent hears of something. */
    static RawHttp.Answer askUntil(int status, AgentProcess agent, String token) {
        return Wait.until("the answer is " + status, () -> ask(agent, token), answer -> answer.status() == status);
    }
}
