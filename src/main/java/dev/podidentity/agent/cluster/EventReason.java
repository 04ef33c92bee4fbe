package dev.podidentity.agent.cluster;

import dev.podidentity.agent.token.VerifiedClaims;
import java.util.Arrays;

/** Why a pod has no credentials, in the words of a Kubernetes Event. */
enum EventReason {
    ACCESS_DENIED("AccessDeniedException", "CredentialsAccessDenied"),
    NO_ASSOCIATION("ResourceNotFoundException", "CredentialsNoAssociation"),
    INVALID_PARAMETER("InvalidParameterException", "CredentialsInvalidParameter"),
    INVALID_REQUEST("InvalidRequestException", "CredentialsInvalidRequest"),
    INVALID_TOKEN("InvalidTokenException", "CredentialsInvalidToken"),
    EXPIRED_TOKEN("ExpiredTokenException", "CredentialsExpiredToken"),
    OTHER("", "CredentialsRefused");

    private static final String TRUST = "{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"pods.eks.amazonaws.com\"},"
            + "\"Action\":[\"sts:AssumeRole\",\"sts:TagSession\"]}";

    private final String code;
    private final String text;

    EventReason(String code, String text) {
        this.code = code;
        this.text = text;
    }

    /** @param code the name of EKS Auth's error */
    static EventReason of(String code) {
        return Arrays.stream(values()).filter(reason -> reason.code.equals(code)).findFirst().orElse(OTHER);
    }

    /** The Event's reason. */
    String text() {
        return text;
    }

    /**
     * The cause and the fix.
     *
     * @param remedy what can be said without knowing the pod
     */
    String message(VerifiedClaims pod, String clusterName, String remedy) {
        String whose = "service account " + pod.namespace() + '/' + pod.serviceAccount() + " in cluster " + clusterName;
        String which = " --cluster-name " + clusterName + " --namespace " + pod.namespace() + " --service-account "
                + pod.serviceAccount();
        return switch (this) {
            // EKS Auth does not say which role it is.
            case ACCESS_DENIED -> "EKS Auth may not assume the role of the association of " + whose + ": add " + TRUST
                    + " to the role's trust policy. The association and its role: aws eks list-pod-identity-associations"
                    + which + ", then aws eks describe-pod-identity-association";
            case NO_ASSOCIATION -> "There is no EKS Pod Identity association for " + whose
                    + ": aws eks create-pod-identity-association" + which
                    + " --role-arn <the role's ARN>. A new one takes some seconds";
            case INVALID_PARAMETER, INVALID_REQUEST, INVALID_TOKEN, EXPIRED_TOKEN, OTHER -> remedy;
        };
    }
}
