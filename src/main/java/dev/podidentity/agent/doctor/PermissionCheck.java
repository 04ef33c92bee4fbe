package dev.podidentity.agent.doctor;

import dev.podidentity.agent.apiserver.ApiAnswer;
import java.util.List;
import java.util.Set;

/** Checks that the agent's credentials allow calling EKS Auth, by how EKS Auth rejects a made-up token. */
final class PermissionCheck implements Check {

    private static final int THROTTLED = 429;
    private static final int FORBIDDEN = 403;
    private static final int SERVER_ERROR = 500;
    /** Errors about the token, which follow only if the caller is authorized. */
    private static final Set<String> OF_THE_TOKEN =
            Set.of("InvalidTokenException", "ExpiredTokenException", "InvalidParameterException", "InvalidRequestException");

    private final EksAuthCall call;
    private final String cluster;

    PermissionCheck(EksAuthCall call, AgentSettings settings) {
        this.call = call;
        this.cluster = settings.clusterName().orElse("");
    }

    @Override
    public String name() {
        return "permission";
    }

    @Override
    public List<Finding> examine() {
        return List.of(call.outcome().answer()
                .map(this::finding)
                .orElseGet(() -> Finding.skip("The permission cannot be checked without a response of EKS Auth")));
    }

    private Finding finding(ApiAnswer answer) {
        // Some services append a URL after a colon.
        String error = answer.errorType().orElse("").replaceFirst(":.*", "").replaceAll("[^0-9A-Za-z]", "");
        String seen = "EKS Auth responds with HTTP " + answer.status() + (error.isEmpty() ? "" : " " + error);
        if (answer.status() == FORBIDDEN && error.equals("AccessDeniedException")) {
            return Finding.fail("The node's role is not allowed to call EKS Auth (" + error + ")",
                    "Attach AmazonEKSWorkerNodePolicy to it, or a policy that allows eks-auth:AssumeRoleForPodIdentity; an"
                            + " endpoint policy of the VPC must allow it too");
        }
        if (answer.status() == FORBIDDEN) {
            return Finding.fail("EKS Auth does not accept the agent's own AWS credentials (" + error + ")",
                    "Check the node's role or keys, and its clock");
        }
        if (OF_THE_TOKEN.contains(error)) {
            return Finding.ok("The agent is allowed to call EKS Auth, which rejected a made-up token (" + error + ")");
        }
        if (error.equals("ResourceNotFoundException")) {
            return Finding.fail("EKS Auth does not know a cluster " + cluster + " with Pod Identity in this region and account",
                    "Check --cluster-name and the region");
        }
        if (answer.status() == THROTTLED || answer.status() >= SERVER_ERROR) {
            return Finding.warn(seen, "Run doctor again; the agent retries by itself");
        }
        return Finding.fail(seen + ", which is not a response of EKS Auth", "Check --endpoint and the proxy");
    }
}
