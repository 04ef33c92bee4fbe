package dev.podidentity.agent;

import dev.podidentity.agent.testing.Certificates;
import dev.podidentity.agent.testing.CrudApiServer;
import dev.podidentity.emulator.EksAuthEmulator;
import dev.podidentity.emulator.TokenRequest;
import dev.podidentity.emulator.TokenRequest.Algorithm;
import dev.podidentity.emulator.TokenVerification;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodBuilder;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Stream;

/**
 * The cluster of an agent's node: a fake API server over HTTPS, whose authority and token are in a directory as Kubernetes
 * mounts it into a pod, and an EKS Auth that accepts the same tokens. {@code realcluster} has a cluster with a real API
 * server.
 */
final class Cluster implements AutoCloseable {

    static final String NODE = "node-1";
    static final String KEYS = "/openid/v1/jwks";
    static final String REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews";
    static final String PODS = "/api/v1/pods";

    private static final String VERIFIED = "pod_identity_token_verifications_total{verdict=\"verified\",}";
    private static final int CREATED = 201;
    private static final String EXTRA = "authentication.kubernetes.io/";

    private final EksAuthEmulator eksAuth = Emulators.start();
    private final CrudApiServer api;
    private final Path serviceAccount;
    private final String apiToken;
    private final List<String> reviewed = new CopyOnWriteArrayList<>();

    /** @param directory used as the directory of the agent's service account */
    static Cluster start(Path directory) throws IOException, InterruptedException {
        return new Cluster(directory, Certificates.make(directory, "ip:" + AgentProcess.LOOPBACK));
    }

    private Cluster(Path directory, Certificates certificates) throws IOException {
        serviceAccount = directory;
        apiToken = eksAuth.tokens().mint(eksAuth.tokens()
                .request("kube-system", "eks-pod-identity-agent", "eks-pod-identity-agent-x7k2p")
                .withAudience("https://kubernetes.default.svc"));
        Files.writeString(directory.resolve("token"), apiToken);
        api = new CrudApiServer(certificates.server());
        api.requireToken(apiToken);
        review();
        publish(Algorithm.values());
    }

    EksAuthEmulator eksAuth() {
        return eksAuth;
    }

    CrudApiServer api() {
        return api;
    }

    /** Publishes the keys of exactly these algorithms. */
    void publish(Algorithm... algorithms) {
        api.answer(KEYS, 200, eksAuth.tokens().jwks(algorithms));
    }

    /** Makes the API server review tokens, as it does initially. */
    void review() {
        api.answer(REVIEWS, request -> request.body().onSuccess(body -> review(request, body)));
    }

    /** Returns the flags for the API server and the agent's service account. */
    List<String> flags() {
        return List.of("--api-server", api.url().toString(), "--service-account-path", serviceAccount.toString());
    }

    /** Starts an agent on this cluster's node, and waits until it can call EKS Auth. */
    AgentProcess agent(String... flags) {
        return known(AgentProcess.start(eksAuth, Map.of("NODE_NAME", NODE), with(flags)));
    }

    /** Starts an agent that may lack its own AWS credentials. */
    AgentProcess launch(Map<String, String> environment, String... flags) {
        Map<String, String> all = new HashMap<>(Map.of("NODE_NAME", NODE));
        all.putAll(environment);
        return known(AgentProcess.launch(eksAuth, all, with(flags)));
    }

    /** Starts an agent that verifies tokens with the cluster's signing keys, and waits until it has them. */
    AgentProcess verifyingAgent(String... flags) {
        AgentProcess agent = agent(Stream.concat(Stream.of("--token-verification", "jwks"), Stream.of(flags))
                .toArray(String[]::new));
        awaitKeys(agent, eksAuth);
        return agent;
    }

    /** Waits until an agent has the signing keys and verifies tokens with them. */
    static void awaitKeys(AgentProcess agent, EksAuthEmulator eksAuth) {
        agent.awaitLine(line -> line.contains("Signing keys loaded"));
        awaitVerified(agent, eksAuth);
    }

    /**
     * Waits until an agent verifies a token in time: on a busy machine with cold code, the first verifications exceed its
     * timeout, and such tokens count as separate identities. Adds no cache entry, because these tokens have no association.
     */
    static void awaitVerified(AgentProcess agent, EksAuthEmulator eksAuth) {
        double before = agent.metric(VERIFIED);
        try (RawHttp http = new RawHttp(agent.port())) {
            do {
                http.askAsSdk(eksAuth.tokens().mint(
                        eksAuth.tokens().request("warm-up", "nobody", "pod-1").withNode(NODE)));
            } while (agent.metric(VERIFIED) == before);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        eksAuth.resetCounts();
    }

    private String[] with(String... flags) {
        return Stream.concat(flags().stream(), Stream.of(flags)).toArray(String[]::new);
    }

    private AgentProcess known(AgentProcess agent) {
        agent.keepsSecret(apiToken);
        return agent;
    }

    /** Returns a token request for a pod of this node, for changes before it is minted. */
    TokenRequest request(String namespace, String serviceAccountName, String pod) {
        return eksAuth.tokens().request(namespace, serviceAccountName, pod).withNode(NODE);
    }

    /** Returns a token request for a pod of the service account that has an association. */
    TokenRequest request(String pod) {
        return request(Emulators.NAMESPACE, Emulators.SERVICE_ACCOUNT, pod);
    }

    /** Returns a token request for a pod that exists in the API server. */
    TokenRequest request(Pod pod) {
        return request(pod.getMetadata().getNamespace(), pod.getSpec().getServiceAccountName(), pod.getMetadata().getName())
                .withPodUid(pod.getMetadata().getUid())
                .withNode(pod.getSpec().getNodeName());
    }

    String mint(TokenRequest request) {
        return eksAuth.tokens().mint(request);
    }

    /** Returns a token for a pod of this node, of the service account that has an association. */
    String token(String pod) {
        return mint(request(pod));
    }

    /** Returns tokens for this many pods of the service account that has an association. */
    List<String> tokens(int pods) {
        List<String> tokens = new ArrayList<>();
        for (int i = 0; i < pods; i++) {
            tokens.add(token("pod-" + i));
        }
        return tokens;
    }

    /** Creates a pod on this node, of the service account that has an association. */
    Pod createPod(String name) {
        return createPod(Emulators.SERVICE_ACCOUNT, name);
    }

    /** Creates a pod on this node. */
    Pod createPod(String serviceAccountName, String name) {
        Pod pod = new PodBuilder()
                .withNewMetadata().withName(name).withNamespace(Emulators.NAMESPACE).endMetadata()
                .withNewSpec().withNodeName(NODE).withServiceAccountName(serviceAccountName).endSpec()
                .withNewStatus().withPhase("Running").endStatus()
                .build();
        return api.client().pods().inNamespace(Emulators.NAMESPACE).resource(pod).create();
    }

    void delete(Pod pod) {
        api.client().pods().resource(pod).delete();
    }

    /** Returns how many reviews of a token the API server received. */
    int reviews(String token) {
        return Collections.frequency(reviewed, token);
    }

    /** Responds with the review of a token, like an API server. */
    private void review(HttpServerRequest request, Buffer body) {
        JsonObject spec = body.toJsonObject().getJsonObject("spec");
        String token = spec.getString("token");
        reviewed.add(token);
        JsonObject status = eksAuth.tokens().verify(token, Instant.now()) instanceof TokenVerification.Verified
                ? genuine(claims(token), spec.getJsonArray("audiences"))
                : new JsonObject().put("user", new JsonObject()).put("error", "invalid bearer token");
        request.response().setStatusCode(CREATED).end(body.toJsonObject().put("status", status).toBuffer());
    }

    private static JsonObject genuine(JsonObject claims, JsonArray audiences) {
        JsonObject kubernetes = claims.getJsonObject("kubernetes.io");
        return new JsonObject()
                .put("authenticated", true)
                .put("audiences", audiences)
                .put("user", new JsonObject()
                        .put("username", claims.getString("sub"))
                        .put("uid", kubernetes.getJsonObject("serviceaccount").getString("uid"))
                        .put("extra", new JsonObject()
                                .put(EXTRA + "pod-name", names(kubernetes, "pod", "name"))
                                .put(EXTRA + "pod-uid", names(kubernetes, "pod", "uid"))
                                .put(EXTRA + "node-name", names(kubernetes, "node", "name"))));
    }

    private static JsonArray names(JsonObject kubernetes, String object, String member) {
        return new JsonArray().add(kubernetes.getJsonObject(object).getString(member));
    }

    /** Returns the claims of a token, whoever signed it. */
    static JsonObject claims(String token) {
        byte[] json = Base64.getUrlDecoder().decode(token.split("\\.")[1]);
        return new JsonObject(new String(json, StandardCharsets.UTF_8));
    }

    @Override
    public void close() {
        api.close();
        eksAuth.close();
    }
}
