package dev.podidentity.agent.doctor;

import dev.podidentity.agent.apiserver.ApiAnswer;
import dev.podidentity.agent.apiserver.Callee;
import dev.podidentity.agent.outbound.CallFailure;
import io.vertx.core.json.JsonObject;
import java.net.URI;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/** Calls the API server of a cluster. Blocks. */
final class Kube {

    private static final String JSON = "application/json";
    private static final String REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

    private final Web web;
    private final KubeAccess access;
    private final Callee callee;

    Kube(Web web, KubeAccess access) {
        this.web = web;
        this.access = access;
        this.callee = new Callee(
                "The API server at " + access.server(),
                "check its URL, and that this machine can reach it",
                "check that the certificate authority is the one of this cluster");
    }

    /** Returns the identity and the API server, for messages. */
    KubeAccess access() {
        return access;
    }

    /**
     * Reads an object or a list.
     *
     * @return empty if it does not exist
     * @throws CallFailure if there is no response, or the permission is missing; the message says which
     */
    Optional<JsonObject> get(String path) throws CallFailure {
        ApiAnswer answer = ask("GET", path, Optional.empty());
        if (answer.status() == 404) {
            return Optional.empty();
        }
        return Optional.of(good(answer, path));
    }

    /**
     * Returns whether something is allowed, as decided by the API server.
     *
     * @param attributes of a {@code SelfSubjectAccessReview}: {@code resourceAttributes} or {@code nonResourceAttributes}
     */
    boolean may(String kind, JsonObject attributes) throws CallFailure {
        JsonObject review = new JsonObject()
                .put("apiVersion", "authorization.k8s.io/v1")
                .put("kind", "SelfSubjectAccessReview")
                .put("spec", new JsonObject().put(kind, attributes));
        JsonObject answered = good(ask("POST", REVIEWS, Optional.of(review.encode())), REVIEWS);
        return answered.getValue("status") instanceof JsonObject status && Boolean.TRUE.equals(status.getValue("allowed"));
    }

    private static JsonObject good(ApiAnswer answer, String path) throws CallFailure {
        if (answer.ok()) {
            return answer.json(path);
        }
        String reason = answer.reason().isEmpty() ? "" : " and says: \"" + answer.reason() + '"';
        throw new CallFailure("The API server responds with HTTP " + answer.status() + " for " + path.replaceFirst("\\?.*", "") + reason,
                answer.refused());
    }

    private ApiAnswer ask(String method, String path, Optional<String> body) throws CallFailure {
        Map<String, String> headers = new HashMap<>();
        access.token().ifPresent(token -> headers.put("Authorization", "Bearer " + token));
        body.ifPresent(text -> headers.put("Content-Type", JSON));
        URI url = URI.create(access.server().toString().replaceFirst("/+$", "") + path);
        return web.ask(new Web.Ask(method, url, headers, body, access.route(), Web.TIMEOUT, callee));
    }
}
