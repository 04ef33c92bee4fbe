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
 * A cluster with a real API server, in which {@code kubernetes/verified} is applied, and an EKS Auth that accepts its tokens: the
 * API server signs with the keys of the emulated one. {@link dev.podidentity.agent.Cluster} is the one with a fake API server,
 * which can be made to answer anything.
 */
final class RealCluster implements AutoCloseable {

    static final String AGENT = "eks-pod-identity-agent";
    static final String SYSTEM = "kube-system";
    /** The agent, as the API server calls it. */
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
    /** Where it is not in the API server's process. */
    private Optional<Etcd> etcd = Optional.empty();

    /** Starts one whose API server signs with RS256 and publishes the key for ES256 too. */
    static RealCluster start(Path directory) {
        RealCluster cluster = new RealCluster(directory);
        cluster.api.start(cluster.signing(Algorithm.RS256, Algorithm.RS256, Algorithm.ES256));
        return cluster.apply();
    }

    /** Makes one whose API server does not run yet. */
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

    /** Makes one with two API servers, which do not run yet, on an etcd that does. */
    static RealCluster onAnEtcdOfItsOwn(Path directory) {
        RealCluster cluster = new RealCluster(directory);
        cluster.etcd = Optional.of(Etcd.start(directory.resolve("etcd")));
        return cluster;
    }

    /** A new directory that is kept, as the logs in it help to find out what went wrong. */
    static Path directory(String name) {
        try {
            Path all = Files.createDirectories(Path.of("target", "real-cluster").toAbsolutePath());
            return Files.createTempDirectory(all, name + '-');
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Another API server of the same cluster. */
    ApiServerProcess secondApi() {
        return new ApiServerProcess(directory.resolve("second-api-server")).withCertificatesOf(api);
    }

    Etcd etcd() {
        return etcd.orElseThrow();
    }

    /** Flags of an API server that signs tokens with one key and accepts those of several. */
    String[] signing(Algorithm with, Algorithm... accepted) {
        List<String> flags = new ArrayList<>();
        flags.add("--service-account-issuer=" + ISSUER);
        flags.add("--service-account-signing-key-file=" + directory.resolve(with + ".key"));
        Stream.of(accepted).forEach(each -> flags.add("--service-account-key-file=" + directory.resolve(each + ".pub")));
        etcd.ifPresent(own -> flags.add("--etcd-servers=" + own.url()));
        return flags.toArray(String[]::new);
    }

    /** Applies the manifests of this repository, and lets the agent have tokens reviewed too. */
    RealCluster apply() {
        Path manifests = Path.of("kubernetes", "verified").toAbsolutePath();
        api.kubectl("apply", "-k", manifests.toString());
        try {
            // kustomize takes no absolute paths.
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

    /** Applies objects that are given as YAML. */
    void apply(String yaml) {
        api.kubectl("apply", "-f", file("applied-" + UUID.randomUUID() + ".yaml", yaml).toString());
    }

    /** Writes a file of this cluster's. */
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

    /** A node with the agent's service account on it. */
    RealNode node(Taint... taints) {
        RealNode node = unregisteredNode();
        register(node.name(), taints);
        return node;
    }

    /** The same before its kubelet has registered it. */
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

    /** A namespace that nobody else uses, with a service account that has an association. */
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

    /** A pod that is about to run on a node; fields that a scheduler and an admission would fill are filled. */
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

    /** Creates a pod and has it run. */
    Pod run(Pod pod) {
        Pod created = administrator().resource(pod).create();
        return phase(created, "Running");
    }

    Pod phase(Pod pod, String phase) {
        return administrator().pods().resource(pod).editStatus(now -> new PodBuilder(now)
                .editOrNewStatus().withPhase(phase).endStatus()
                .build());
    }

    /** Ends a pod as {@code kubectl delete --force} does. */
    void forceDelete(Pod pod) {
        administrator().pods().resource(pod).withGracePeriod(0).delete();
    }

    /** A new token of a pod for EKS Auth, as its kubelet asks for it. */
    String token(Pod pod, String... audiences) {
        TokenRequestBuilder request = new TokenRequestBuilder()
                .withNewSpec()
                .withExpirationSeconds(TOKEN_SECONDS)
                .withAudiences(audiences.length == 0 ? List.of(AUDIENCE) : Arrays.asList(audiences))
                .withNewBoundObjectRef("v1", "Pod", pod.getMetadata().getName(), pod.getMetadata().getUid())
                .endSpec();
        return request(pod.getMetadata().getNamespace(), pod.getSpec().getServiceAccountName(), request.build());
    }

    /** A token that is bound to no pod. */
    String unboundToken(String namespace, String serviceAccount) {
        return request(namespace, serviceAccount, new TokenRequestBuilder()
                .withNewSpec().withExpirationSeconds(TOKEN_SECONDS).withAudiences(AUDIENCE).endSpec()
                .build());
    }

    private String request(String namespace, String serviceAccount, TokenRequest request) {
        return administrator().serviceAccounts().inNamespace(namespace).withName(serviceAccount).tokenRequest(request)
                .getStatus().getToken();
    }

    /** What a token of a pod says, to be changed and minted with the API server's key: it asks for none that is expired. */
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

    /** Has what an agent writes among the logs. */
    AgentProcess logged(String node, AgentProcess agent) {
        agents.put(node + "-agent-" + agent.pid() + ".log", agent);
        return agent;
    }

    private void writeLogs() {
        agents.forEach((name, agent) -> file(name, String.join("\n", agent.output())));
    }

    /** Leaves the logs: etcd's data takes over 100 MB. */
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

    /** An etcd in a process of its own. */
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
         * Makes it forget all versions but the last.
         *
         * @param log the directory for what that writes
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
