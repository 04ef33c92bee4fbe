package dev.podidentity.agent.eksauth;

import dev.podidentity.agent.observe.Field;
import java.io.IOException;
import java.net.UnknownHostException;
import java.security.cert.CertificateException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeoutException;
import org.jboss.logging.Logger;
import software.amazon.awssdk.awscore.exception.AwsServiceException;

/** Sorts what the SDK throws into failures that say what to do. The one place that knows EKS Auth's error names. */
final class FailureReader {

    private static final Logger LOG = Logger.getLogger(FailureReader.class);

    private static final int TOO_MANY_REQUESTS = 429;
    private static final int SERVER_ERROR = 500;
    private static final int BAD_REQUEST = 400;
    private static final int LONGEST_CODE = 64;

    private final String clusterName;
    private final String endpointHost;

    FailureReader(String clusterName, String endpointHost) {
        this.clusterName = clusterName;
        this.endpointHost = endpointHost;
    }

    EksAuthFailure read(Throwable thrown) {
        for (Throwable cause = thrown; cause != null; cause = cause.getCause()) {
            if (cause instanceof AwsServiceException answered) {
                return answered(answered);
            }
            if (cause instanceof AgentCredentials.UnavailableException) {
                return agentCredentials(cause.getMessage());
            }
            if (cause instanceof AnswerShape.MalformedException) {
                return badAnswer("The answer of EKS Auth at " + endpointHost + " cannot be used: " + cause.getMessage());
            }
            if (cause instanceof UnknownHostException) {
                return new TransientFailure(TransientFailure.Reason.UNREACHABLE, "The host name " + endpointHost
                        + " of EKS Auth has no address: check the DNS of this node; a private cluster needs a VPC endpoint"
                        + " for eks-auth with private DNS for *.api.aws");
            }
            if (cause instanceof CertificateException) {
                return new TransientFailure(TransientFailure.Reason.UNREACHABLE, "The certificate of EKS Auth at " + endpointHost
                        + " is not trusted: check what answers at this name, and that AWS_CA_BUNDLE holds the authority of a"
                        + " private endpoint or of a proxy");
            }
            if (cause instanceof TimeoutException) {
                return new TransientFailure(TransientFailure.Reason.TIMED_OUT,
                        "EKS Auth at " + endpointHost
                        + " did not answer in time: if it stays so, check the DNS, the route and the security groups of this node");
            }
        }
        if (hasCause(thrown, IOException.class)) {
            return new TransientFailure(TransientFailure.Reason.UNREACHABLE, "The connection to EKS Auth at " + endpointHost
                    + " failed: check the route, the security groups and the proxy of this node");
        }
        LOG.debugf("A call to EKS Auth failed in a way that the agent does not know", Field.of("causes", causes(thrown)));
        return badAnswer("The answer of EKS Auth at " + endpointHost + " could not be read");
    }

    /** Names alone: a message may hold what went over the wire. */
    private static String causes(Throwable thrown) {
        List<String> names = new ArrayList<>();
        for (Throwable cause = thrown; cause != null; cause = cause.getCause()) {
            names.add(cause.getClass().getName());
        }
        return String.join(" < ", names);
    }

    private static boolean hasCause(Throwable thrown, Class<? extends Throwable> type) {
        for (Throwable cause = thrown; cause != null; cause = cause.getCause()) {
            if (type.isInstance(cause)) {
                return true;
            }
        }
        return false;
    }

    private EksAuthFailure answered(AwsServiceException answer) {
        String code = answer.awsErrorDetails() == null ? "" : plain(answer.awsErrorDetails().errorCode());
        int status = answer.statusCode();
        return switch (code) {
            case "AccessDeniedException" -> new PermanentFailure(PermanentFailure.Reason.ACCESS_DENIED,
                    "EKS Auth denies it: let the role's trust policy allow pods.eks.amazonaws.com sts:AssumeRole and"
                            + " sts:TagSession, and the node's role eks-auth:AssumeRoleForPodIdentity");
            case "InvalidParameterException", "ValidationException" -> new PermanentFailure(PermanentFailure.Reason.INVALID_PARAMETER,
                    "EKS Auth does not take the parameters: check that --cluster-name is this cluster's name");
            case "InvalidRequestException" -> new PermanentFailure(PermanentFailure.Reason.INVALID_REQUEST,
                    "EKS Auth does not take the request: check that the role of the association exists");
            case "InvalidTokenException" -> new PermanentFailure(PermanentFailure.Reason.INVALID_TOKEN,
                    "EKS Auth does not accept the token: check that cluster " + clusterName + " issued it");
            case "ExpiredTokenException" -> status == BAD_REQUEST
                    ? new PermanentFailure(PermanentFailure.Reason.EXPIRED_TOKEN,
                            "EKS Auth says that the token has expired: the SDK must re-read the token file")
                    : notAccepted(code);
            case "ResourceNotFoundException" -> new PermanentFailure(PermanentFailure.Reason.NO_ASSOCIATION,
                    "There is no EKS Pod Identity association for this service account in cluster " + clusterName
                            + ": create one with 'aws eks create-pod-identity-association'; a new one takes some seconds");
            case "RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture", "UnrecognizedClientException", "InvalidSignatureException", "MissingAuthenticationTokenException",
                    "IncompleteSignatureException", "InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredToken" ->
                    notAccepted(code);
            case "ThrottlingException", "Throttling", "ThrottledException", "TooManyRequestsException", "SlowDown",
                    "RequestThrottled", "RequestThrottledException", "RequestLimitExceeded" -> throttled();
            case "InternalServerException" -> internal();
            case "ServiceUnavailableException" -> unavailable();
            default -> unnamed(status, code);
        };
    }

    private EksAuthFailure unnamed(int status, String code) {
        if (status == TOO_MANY_REQUESTS) {
            return throttled();
        }
        if (status == SERVER_ERROR) {
            return internal();
        }
        if (status > SERVER_ERROR) {
            return unavailable();
        }
        if (status < BAD_REQUEST || code.isEmpty()) {
            return badAnswer("What answers at " + endpointHost + " with status " + status
                    + " is not EKS Auth: check --endpoint and the proxy");
        }
        // Nobody has said that it stays, and a refusal would take valid credentials away.
        return badAnswer("EKS Auth answers with " + code + " (status " + status + "), which the agent does not know");
    }

    private static TransientFailure throttled() {
        return new TransientFailure(TransientFailure.Reason.THROTTLED, "EKS Auth throttles this account: try again");
    }

    private static TransientFailure internal() {
        return new TransientFailure(TransientFailure.Reason.INTERNAL, "EKS Auth has an internal error: try again");
    }

    private static TransientFailure unavailable() {
        return new TransientFailure(TransientFailure.Reason.UNAVAILABLE, "EKS Auth is unavailable: try again");
    }

    private static TransientFailure notAccepted(String code) {
        return agentCredentials("EKS Auth does not accept the agent's own AWS credentials (" + code
                + "): check the node's role or keys, and its clock");
    }

    private static TransientFailure badAnswer(String message) {
        return new TransientFailure(TransientFailure.Reason.BAD_ANSWER, message);
    }

    private static TransientFailure agentCredentials(String message) {
        return new TransientFailure(TransientFailure.Reason.AGENT_CREDENTIALS, message);
    }

    /** An error name as it may stand in a message: the other side chooses it. */
    private static String plain(String code) {
        if (code == null) {
            return "";
        }
        String letters = code.replaceAll("[^0-9A-Za-z]", "");
        return letters.length() > LONGEST_CODE ? letters.substring(0, LONGEST_CODE) : letters;
    }
}
