package dev.podidentity.agent.eksauth;

import dev.podidentity.agent.observe.Field;
import io.netty.channel.ConnectTimeoutException;
import io.netty.handler.ssl.SslClosedEngineException;
import io.netty.handler.ssl.SslHandshakeTimeoutException;
import java.io.IOException;
import java.net.ConnectException;
import java.net.NoRouteToHostException;
import java.net.SocketException;
import java.net.UnknownHostException;
import java.security.cert.CertificateException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;
import javax.net.ssl.SSLException;
import org.jboss.logging.Logger;
import software.amazon.awssdk.awscore.exception.AwsServiceException;

/** Turns what the SDK throws into failures that say what to do. The only class that knows the error names of EKS Auth. */
final class FailureReader {

    private static final Logger LOG = Logger.getLogger(FailureReader.class);

    private static final String ACCESS_DENIED = "AccessDeniedException";
    private static final String NO_ASSOCIATION = "ResourceNotFoundException";
    private static final int TOO_MANY_REQUESTS = 429;
    private static final int SERVER_ERROR = 500;
    private static final int BAD_REQUEST = 400;
    private static final int FORBIDDEN = 403;
    private static final int NOT_FOUND = 404;
    private static final int LONGEST_CODE = 64;
    /** A longer chain of causes is assumed to be a cycle. */
    private static final int MOST_CAUSES = 20;
    /** These mean that the caller exceeds a rate, whatever the status. */
    private static final Set<String> THROTTLING = Set.of(
            "ThrottlingException", "Throttling", "ThrottledException", "TooManyRequestsException", "SlowDown",
            "RequestThrottled", "RequestThrottledException", "RequestLimitExceeded");

    private final String clusterName;
    private final String endpointHost;

    FailureReader(String clusterName, String endpointHost) {
        this.clusterName = clusterName;
        this.endpointHost = endpointHost;
    }

    /**
     * Classifies a failure. The SDK wraps the cause, often more than once, so each kind is looked for in the whole chain of
     * causes, the most specific first.
     */
    EksAuthFailure read(Throwable thrown) {
        List<Throwable> causes = causes(thrown);
        for (Throwable cause : causes) {
            if (cause instanceof AwsServiceException answered) {
                return answered(answered);
            }
            if (cause instanceof AgentCredentials.UnavailableException) {
                return new TransientFailure(TransientFailure.Reason.NOT_READY, cause.getMessage());
            }
            if (cause instanceof AnswerShape.MalformedException) {
                return badAnswer("The response of EKS Auth at " + endpointHost + " cannot be used: " + cause.getMessage());
            }
        }
        if (any(causes, UnknownHostException.class)) {
            return new TransientFailure(TransientFailure.Reason.NO_ADDRESS, "The host name " + endpointHost
                    + " of EKS Auth does not resolve: check the DNS of this node; a private cluster needs a VPC endpoint"
                    + " for eks-auth with private DNS for *.api.aws");
        }
        if (any(causes, CertificateException.class)) {
            return new TransientFailure(TransientFailure.Reason.TLS, "The certificate of EKS Auth at " + endpointHost
                    + " is not trusted: check which server responds at this name, and that AWS_CA_BUNDLE contains the"
                    + " certificate authority of a private endpoint or of a proxy");
        }
        if (causes.stream().anyMatch(FailureReader::timedOut)) {
            return new TransientFailure(TransientFailure.Reason.TIMED_OUT, "EKS Auth at " + endpointHost
                    + " did not respond in time: if this persists, check the DNS, the route and the security groups of this"
                    + " node");
        }
        if (causes.stream().anyMatch(FailureReader::withoutTls)) {
            return new TransientFailure(TransientFailure.Reason.TLS, "The TLS handshake with EKS Auth at " + endpointHost
                    + " failed: check which server responds at this name, --endpoint and the proxy");
        }
        if (causes.stream().anyMatch(FailureReader::unreachable)) {
            return new TransientFailure(TransientFailure.Reason.UNREACHABLE, "EKS Auth at " + endpointHost
                    + " cannot be reached: check the route, the security groups and the proxy of this node");
        }
        if (any(causes, IOException.class)) {
            return new TransientFailure(TransientFailure.Reason.BROKEN, "The connection to EKS Auth at " + endpointHost
                    + " was lost: try again; if this persists, check the proxy and the network of this node");
        }
        LOG.debugf("A call to EKS Auth failed for an unknown reason", Field.of("causes", names(causes)));
        return badAnswer("The response of EKS Auth at " + endpointHost + " could not be read");
    }

    private static List<Throwable> causes(Throwable thrown) {
        List<Throwable> causes = new ArrayList<>();
        for (Throwable cause = thrown; cause != null && causes.size() < MOST_CAUSES; cause = cause.getCause()) {
            causes.add(cause);
        }
        return causes;
    }

    private static boolean any(List<Throwable> causes, Class<? extends Throwable> type) {
        return causes.stream().anyMatch(type::isInstance);
    }

    private static boolean timedOut(Throwable cause) {
        return cause instanceof TimeoutException
                || cause instanceof io.netty.handler.timeout.TimeoutException
                || cause instanceof ConnectTimeoutException
                || cause instanceof SslHandshakeTimeoutException;
    }

    /** A TLS connection that was established and then closed counts as lost. */
    private static boolean withoutTls(Throwable cause) {
        return cause instanceof SSLException && !(cause instanceof SslClosedEngineException);
    }

    /** The JDK has no exception type for ENETUNREACH, only the system's message. */
    private static boolean unreachable(Throwable cause) {
        return cause instanceof ConnectException
                || cause instanceof NoRouteToHostException
                || cause instanceof SocketException && String.valueOf(cause.getMessage()).contains("Network is unreachable");
    }

    /** Returns class names only: a message may contain what was sent or received. */
    private static String names(List<Throwable> causes) {
        return causes.stream().map(cause -> cause.getClass().getName()).collect(Collectors.joining(" < "));
    }

    private EksAuthFailure answered(AwsServiceException answer) {
        String code = answer.awsErrorDetails() == null ? "" : plain(answer.awsErrorDetails().errorCode());
        EksAuthFailure failure = sorted(answer.statusCode(), code);
        Said said = Said.by(answer);
        if (failure instanceof PermanentFailure refusal) {
            return new PermanentFailure(refusal.reason(), refusal.message(), said);
        }
        TransientFailure trouble = (TransientFailure) failure;
        // A message about a signature may contain what was signed, including the agent's own session token.
        boolean own = trouble.reason() == TransientFailure.Reason.AGENT_CREDENTIALS;
        return new TransientFailure(trouble.reason(), trouble.message(), own ? said.withoutMessage() : said);
    }

    private EksAuthFailure sorted(int status, String code) {
        if (THROTTLING.contains(code)) {
            return throttled();
        }
        if (status == FORBIDDEN && !code.isEmpty()) {
            return forbidden(code);
        }
        boolean refusal = status == BAD_REQUEST || status == NOT_FOUND && code.equals(NO_ASSOCIATION);
        return refusal ? refused(status, code) : unnamed(status, code);
    }

    /** EKS Auth reports its own refusals with 400. A 403 comes from IAM or the signature check, and concerns the caller. */
    private static TransientFailure forbidden(String code) {
        return code.equals(ACCESS_DENIED)
                ? new TransientFailure(TransientFailure.Reason.AGENT_PERMISSION,
                        "The agent's own AWS role is not allowed to call EKS Auth: grant the node's role"
                                + " eks-auth:AssumeRoleForPodIdentity"
                                + " (AmazonEKSWorkerNodePolicy has it), and check the policies of the organization and of the VPC"
                                + " endpoint")
                : notAccepted(code);
    }

    private EksAuthFailure refused(int status, String code) {
        return switch (code) {
            case ACCESS_DENIED -> new PermanentFailure(PermanentFailure.Reason.ACCESS_DENIED,
                    "EKS Auth is not allowed to assume the association's role: in the role's trust policy, allow"
                            + " pods.eks.amazonaws.com sts:AssumeRole and sts:TagSession");
            case "InvalidParameterException", "ValidationException" -> new PermanentFailure(PermanentFailure.Reason.INVALID_PARAMETER,
                    "EKS Auth rejects the parameters: check that --cluster-name is this cluster's name");
            case "InvalidRequestException" -> new PermanentFailure(PermanentFailure.Reason.INVALID_REQUEST,
                    "EKS Auth rejects the request: check that the role of the association exists");
            case "InvalidTokenException" -> new PermanentFailure(PermanentFailure.Reason.INVALID_TOKEN,
                    "EKS Auth does not accept the token: check that cluster " + clusterName + " issued it");
            case "ExpiredTokenException" -> new PermanentFailure(PermanentFailure.Reason.EXPIRED_TOKEN,
                    "EKS Auth says that the token has expired: the SDK must re-read the token file");
            case NO_ASSOCIATION -> new PermanentFailure(PermanentFailure.Reason.NO_ASSOCIATION,
                    "There is no EKS Pod Identity association for this service account in cluster " + clusterName
                            + ": create one with 'aws eks create-pod-identity-association'; a new one takes some seconds");
            // Other AWS protocols use 400 where this one uses 403.
            case "RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture", "UnrecognizedClientException",
                    "InvalidSignatureException", "MissingAuthenticationTokenException", "IncompleteSignatureException",
                    "InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredToken" -> notAccepted(code);
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
            return badAnswer("The server that responds at " + endpointHost + " with status " + status
                    + " is not EKS Auth: check --endpoint and the proxy");
        }
        // Not known to be permanent, and a permanent failure would discard valid credentials.
        return badAnswer("EKS Auth responds with " + code + " (status " + status + "), which the agent does not know");
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
        return new TransientFailure(TransientFailure.Reason.AGENT_CREDENTIALS,
                "EKS Auth does not accept the agent's own AWS credentials (" + code
                        + "): check the node's role or keys, and its clock");
    }

    private static TransientFailure badAnswer(String message) {
        return new TransientFailure(TransientFailure.Reason.BAD_ANSWER, message);
    }

    /** Returns an error name that is safe in a message: the remote server chooses it. */
    private static String plain(String code) {
        if (code == null) {
            return "";
        }
        String letters = code.replaceAll("[^0-9A-Za-z]", "");
        return letters.length() > LONGEST_CODE ? letters.substring(0, LONGEST_CODE) : letters;
    }
}
