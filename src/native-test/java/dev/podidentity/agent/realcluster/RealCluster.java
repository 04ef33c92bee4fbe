package dev.podidentity.agent.realcluster;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.AgentProcess;
import dev.podidentity.agent.Emulators;
import dev.podidentity.emulator.EksAuthEmulator;
import dev.podidentity.emulator.TokenMint;
import dev.podidentity.emulator.TokenRequest.Algorithm;
import io.fabric8.kubernetes.api.model.NamespaceBuilder;
import io.fabric8.kubernetes.api.model.NodeBuilder;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodBuilder;
import io.fabric8.kubernetes.api.model.ServiceAccount;
import io.fabric8.kubernetes.api.model.ServiceAccountBuilder;
import io.fabric8.kubernetes.api.model.Taint;
import io.fabric8.kubernetes.api.model.authentication.TokenRequest;
import io.fabric8.kubernetes.api.model.authentication.TokenRequestBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;

/**
 * Runs a real API server, with {@code kubernetes/verified} applied, and an emulated EKS Auth that accepts its tokens, because the
 * API server signs with the emulator's keys. {@link dev.podidentity.agent.Cluster} has a fake API server instead, which can be
 * made to return any response.
 */
final class RealCluster implements AutoCloseable {

    static final String AGENT = "eks-pod-identity-agent";
    static final String SYSTEM = "kube-system";
    /** The agent's user name on the API server. */
    static final String AGENT_USER = "system:serviceaccount:" + SYSTEM + ':' + AGENT;
    static final String AUDIENCE = "pods.eks.amazonaws.com";
    static final String SERVICE_ACCOUNT = "cart";
    static final String ISSUER = TokenMint.ISSUER;

    private static final long TOKEN_SECONDS = 86_400;
    private static final String ETCD_DATA = "/etcd/member";

    private final Path directory;
    private final EksAuthEmulator eksAuth = Emulators.start();
    private final ApiServerProcess api;
    private final AtomicInteger nodes = new AtomicInteger();
    private final Map<String, AgentProcess> agents = new ConcurrentHashMap<>();
    /** The etcd, if it does not run in the API server's process. */
    private Optional<Etcd> etcd = Optional.empty();

    /** Starts a cluster whose API server signs with RS256 and also publishes the ES256 key. */
    static RealCluster start(Path directory) {
        RealCluster cluster = new RealCluster(directory);
        cluster.api.start(cluster.signing(Algorithm.RS256, Algorithm.RS256, Algorithm.ES256));
        return cluster.apply();
    }

    /** Creates a cluster without starting its API server. */
    RealCluster(Path directory) {
        this.directory = directory;
        this.api = new ApiServerProcess(directory.resolve("api-server"));
        try {
            for (Algorithm algorithm : Algorithm.values()) {
                Files.writeString(directory.resolve(algorithm + ".key"), eksAuth.tokens().privateKey(algorithm));
                Files.writeString(directory.resolve(algorithm + ".pub"), eksAuth.tokens().publicKey(algorithm));
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Creates a cluster with a running, separate etcd, which two API servers can share. Starts neither API server. */
    static RealCluster onAnEtcdOfItsOwn(Path directory) {
        RealCluster cluster = new RealCluster(directory);
        cluster.etcd = Optional.of(Etcd.start(directory.resolve("etcd")));
        return cluster;
    }

    /** Creates a directory that is not deleted afterwards, because the logs in it help to diagnose failures. */
    static Path directory(String name) {
        try {
            Path all = Files.createDirectories(Path.of("target", "real-cluster").toAbsolutePath());
            return Files.createTempDirectory(all, name + '-');
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Creates another API server for this cluster, without starting it. */
    ApiServerProcess secondApi() {
        return new ApiServerProcess(directory.resolve("second-api-server")).withCertificatesOf(api);
    }

    Etcd etcd() {
        return etcd.orElseThrow();
    }

    /** Returns the flags of an API server that signs tokens with one key and accepts those of several keys. */
    String[] signing(Algorithm with, Algorithm... accepted) {
        List<String> flags = new ArrayList<>();
        flags.add("--service-account-issuer=" + ISSUER);
        flags.add("--service-account-signing-key-file=" + directory.resolve(with + ".key"));
        Stream.of(accepted).forEach(each -> flags.add("--service-account-key-file=" + directory.resolve(each + ".pub")));
        etcd.ifPresent(own -> flags.add("--etcd-servers=" + own.url()));
        return flags.toArray(String[]::new);
    }

    /** Applies the manifests of this repository and also permits the agent to have tokens reviewed. */
    RealCluster apply() {
        Path manifests = Path.of("kubernetes", "verified").toAbsolutePath();
        api.kubectl("apply", "-k", manifests.toString());
        try {
            // kustomize does not accept absolute paths.
            Path overlay = Files.createDirectories(directory.toRealPath().resolve("token-review"));
            Path relative = overlay.relativize(manifests.toRealPath());
            Files.writeString(overlay.resolve("kustomization.yaml"), """
                    resources:
                      - %s/../eks
                    components:
                      - %s/core
                      - %s/token-review
                    """.formatted(relative, relative, relative));
            api.kubectl("apply", "-k", overlay.toString(), "-l", "app.kubernetes.io/name=" + AGENT);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return this;
    }

    /** Applies objects in YAML. */
    void apply(String yaml) {
        api.kubectl("apply", "-f", file("applied-" + UUID.randomUUID() + ".yaml", yaml).toString());
    }

    /** Writes a file into this cluster's directory. */
    Path file(String name, String content) {
        try {
            return Files.writeString(directory.resolve(name), content);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    ApiServerProcess api() {
        return api;
    }

    EksAuthEmulator eksAuth() {
        return eksAuth;
    }

    KubernetesClient administrator() {
        return api.administrator();
    }

    /** Creates and registers a node on which an agent can run. */
    RealNode node(Taint... taints) {
        RealNode node = unregisteredNode();
        register(node.name(), taints);
        return node;
    }

    /** Creates a node that its kubelet has not registered yet. */
    RealNode unregisteredNode() {
        String name = "node-" + nodes.incrementAndGet() + '-' + UUID.randomUUID().toString().substring(0, 8);
        return new RealNode(this, name, directory.resolve(name));
    }

    void register(String node, Taint... taints) {
        administrator().nodes().resource(new NodeBuilder()
                        .withNewMetadata().withName(node).addToLabels("zone", "a").endMetadata()
                        .withNewSpec().withTaints(taints).endSpec()
                        .build())
                .create();
    }

    /** Creates a new namespace that contains a service account with an association. */
    String namespace() {
        String name = "ns-" + UUID.randomUUID().toString().substring(0, 13);
        administrator().namespaces().resource(new NamespaceBuilder().withNewMetadata().withName(name).endMetadata().build())
                .create();
        createServiceAccount(name, SERVICE_ACCOUNT);
        eksAuth.associate(name, SERVICE_ACCOUNT, "arn:aws:iam::123456789012:role/" + name);
        return name;
    }

    ServiceAccount createServiceAccount(String namespace, String name) {
        return administrator().serviceAccounts().resource(new ServiceAccountBuilder()
                        .withNewMetadata().withName(name).withNamespace(namespace).endMetadata()
                        .build())
                .create();
    }

    /** Returns a builder for a pod on a node, with the fields set that the scheduler and admission would set. */
    static PodBuilder podOn(String node, String namespace, String serviceAccount, String name) {
        return new PodBuilder()
                .withNewMetadata().withName(name).withNamespace(namespace).endMetadata()
                .withNewSpec()
                .withNodeName(node)
                .withServiceAccountName(serviceAccount)
                .withAutomountServiceAccountToken(false)
                .addNewContainer().withName("main").withImage("main").endContainer()
                .endSpec();
    }

    /** Creates a pod and sets its phase to Running. */
    Pod run(Pod pod) {
        Pod created = administrator().resource(pod).create();
        return phase(created, "Running");
    }

    Pod phase(Pod pod, String phase) {
        return administrator().pods().resource(pod).editStatus(now -> new PodBuilder(now)
                .editOrNewStatus().withPhase(phase).endStatus()
                .build());
    }

    /** Deletes a pod as {@code kubectl delete --force} does. */
    void forceDelete(Pod pod) {
        administrator().pods().resource(pod).withGracePeriod(0).delete();
    }

    /** Requests a new token of a pod, by default for EKS Auth, as kubelet does. */
    String token(Pod pod, String... audiences) {
        TokenRequestBuilder request = new TokenRequestBuilder()
                .withNewSpec()
                .withExpirationSeconds(TOKEN_SECONDS)
                .withAudiences(audiences.length == 0 ? List.of(AUDIENCE) : Arrays.asList(audiences))
                .withNewBoundObjectRef("v1", "Pod", pod.getMetadata().getName(), pod.getMetadata().getUid())
                .endSpec();
        return request(pod.getMetadata().getNamespace(), pod.getSpec().getServiceAccountName(), request.build());
    }

    /** Requests a token that is not bound to a pod. */
    String unboundToken(String namespace, String serviceAccount) {
        return request(namespace, serviceAccount, new TokenRequestBuilder()
                .withNewSpec().withExpirationSeconds(TOKEN_SECONDS).withAudiences(AUDIENCE).endSpec()
                .build());
    }

    private String request(String namespace, String serviceAccount, TokenRequest request) {
        return administrator().serviceAccounts().inNamespace(namespace).withName(serviceAccount).tokenRequest(request)
                .getStatus().getToken();
    }

    /** Returns a pod's claims, to modify and sign with the API server's key, as the API server issues no expired tokens. */
    dev.podidentity.emulator.TokenRequest claims(Pod pod) {
        String account = pod.getSpec().getServiceAccountName();
        String namespace = pod.getMetadata().getNamespace();
        return eksAuth.tokens().request(namespace, account, pod.getMetadata().getName())
                .withServiceAccountUid(administrator().serviceAccounts().inNamespace(namespace).withName(account).get()
                        .getMetadata().getUid())
                .withPodUid(pod.getMetadata().getUid())
                .withNode(pod.getSpec().getNodeName());
    }

    String mint(dev.podidentity.emulator.TokenRequest request) {
        return eksAuth.tokens().mint(request);
    }

    @Override
    public void close() {
        api.close();
        etcd.ifPresent(Etcd::close);
        eksAuth.close();
        writeLogs();
        deleteData();
    }

    /** Includes an agent's output in the logs of this cluster. */
    AgentProcess logged(String node, AgentProcess agent) {
        agents.put(node + "-agent-" + agent.pid() + ".log", agent);
        return agent;
    }

    private void writeLogs() {
        agents.forEach((name, agent) -> file(name, String.join("\n", agent.output())));
    }

    /** Deletes etcd's data, which takes over 100 MB, but keeps the logs. */
    private void deleteData() {
        try (Stream<Path> files = Files.walk(directory)) {
            for (Path file : files.filter(each -> each.toString().contains(ETCD_DATA))
                    .sorted(Comparator.reverseOrder())
                    .toList()) {
                Files.delete(file);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Runs etcd in a separate process. */
    static final class Etcd implements AutoCloseable {

        private final Process process;
        private final String url;

        private Etcd(Process process) {
            this.process = process;
            this.url = ApiServerProcess.awaitReady(process);
        }

        private static Etcd start(Path directory) {
            return new Etcd(ApiServerProcess.run(directory, List.of("etcd", directory.toString())));
        }

        String url() {
            return url;
        }

        /**
         * Compacts the history, so that only the latest revision is left.
         *
         * @param log the directory for the log of the compaction
         */
        void compact(Path log) {
            assertThat(ApiServerProcess.run(log, List.of("compact", url)).onExit().join().exitValue()).isZero();
        }

        @Override
        public void close() {
            process.destroyForcibly().onExit().join();
        }
    }
}
