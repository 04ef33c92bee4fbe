package dev.podidentity.agent.cluster;

import dev.podidentity.agent.outbound.CallFailure;
import io.vertx.core.json.JsonObject;

/** The part of OpenID Connect Discovery that Kubernetes implements. */
final class Discovery {

    static final String PATH = "/.well-known/openid-configuration";
    static final String ACCEPT = "application/json";
    static final String ACCEPT_KEYS = "application/jwk-set+json, application/json";

    private Discovery() {}

    /**
     * Returns a member of the discovery document.
     *
     * @throws CallFailure if it is missing or is not a string
     */
    static String member(JsonObject document, String name) throws CallFailure {
        if (document.getValue(name) instanceof String value && !value.isBlank()) {
            return value;
        }
        throw new CallFailure("The issuer's discovery document has no " + name, false);
    }
}
