package dev.podidentity.agent.doctor;

import dev.podidentity.agent.config.VerificationMode;
import dev.podidentity.agent.outbound.CallFailure;
import io.vertx.core.json.JsonObject;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Checks that the API server responds, and that it allows what the agent's features need, by its own reviews. */
final class RbacCheck implements Check {

    private static final String RESOURCE = "resourceAttributes";
    private static final String PATH = "nonResourceAttributes";

    private final AgentSettings settings;
    private final Optional<Kube> kube;
    private final String noKube;

    /** @param noKube why the API server cannot be called; empty if it can */
    RbacCheck(AgentSettings settings, Optional<Kube> kube, String noKube) {
        this.settings = settings;
        this.kube = kube;
        this.noKube = noKube;
    }

    @Override
    public String name() {
        return "api-server";
    }

    @Override
    public List<Finding> examine() {
        if (!settings.asksApiServer()) {
            return List.of(Finding.ok("No enabled feature needs the API server"));
        }
        if (kube.isEmpty()) {
            return List.of(Finding.fail(noKube, "Without it, verification, the pod watch, Events and the startup taint do not"
                    + " work"));
        }
        List<Finding> findings = new ArrayList<>();
        try {
            for (Need need : needs()) {
                findings.add(kube.get().may(need.kind, need.attributes)
                        ? Finding.ok("The agent is allowed to " + need.what)
                        : Finding.fail("The agent is not allowed to " + need.what + ", which " + need.flag + " needs",
                                "Apply " + need.file + " of kubernetes/verified"));
            }
        } catch (CallFailure failure) {
            findings.add(Finding.failed(failure));
        }
        return findings;
    }

    private List<Need> needs() {
        List<Need> needs = new ArrayList<>();
        if (settings.verification() == VerificationMode.JWKS && settings.issuer().isEmpty()) {
            needs.add(new Need("get /openid/v1/jwks", "--token-verification jwks", "core/keys.yaml", PATH,
                    new JsonObject().put("path", "/openid/v1/jwks").put("verb", "get")));
        }
        if (settings.verification() == VerificationMode.TOKEN_REVIEW) {
            needs.add(resource("create", "authentication.k8s.io", "tokenreviews", "--token-verification token-review", "token-review/"));
        }
        if (settings.podWatch()) {
            needs.add(resource("list", "", "pods", "--pod-watch", "core/pods.yaml"));
            needs.add(resource("watch", "", "pods", "--pod-watch", "core/pods.yaml"));
        }
        if (settings.events()) {
            needs.add(resource("create", "", "events", "--events", "events/"));
        }
        if (settings.startupTaint().isPresent()) {
            needs.add(resource("get", "", "nodes", "--startup-taint", "startup-taint/"));
            needs.add(resource("patch", "", "nodes", "--startup-taint", "startup-taint/"));
        }
        return needs;
    }

    private static Need resource(String verb, String group, String resource, String flag, String file) {
        return new Need(verb + " " + resource + (group.isEmpty() ? "" : "." + group), flag, file, RESOURCE,
                new JsonObject().put("verb", verb).put("group", group).put("resource", resource));
    }

    private record Need(String what, String flag, String file, String kind, JsonObject attributes) {}
}
