package dev.podidentity.agent.cluster;

import dev.podidentity.agent.apiserver.ApiAnswer;
import dev.podidentity.agent.apiserver.ApiServer;
import dev.podidentity.agent.eksauth.PermanentFailure;
import dev.podidentity.agent.eksauth.PermanentFailure.Reason;
import dev.podidentity.agent.loop.BoundedMap;
import dev.podidentity.agent.loop.FairQueue;
import dev.podidentity.agent.loop.FairQueue.Turn;
import dev.podidentity.agent.loop.RecentKeys;
import dev.podidentity.agent.loop.RefusalBackoff;
import dev.podidentity.agent.loop.TokenBucket;
import dev.podidentity.agent.observe.EventResult;
import dev.podidentity.agent.observe.Field;
import dev.podidentity.agent.observe.Metrics;
import dev.podidentity.agent.outbound.CallFailure;
import dev.podidentity.agent.token.VerifiedClaims;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.Map;
import java.util.Optional;
import java.util.function.DoubleSupplier;
import java.util.function.LongSupplier;
import org.jboss.logging.Logger;

/**
 * Records a Kubernetes Event on a pod that gets no credentials until its configuration is fixed, because the pod is where
 * people look first. It records at most one Event per pod and cause in ten minutes. Events are best effort: one that cannot
 * be sent is dropped, and if the cause may be temporary, the pod's next failure sends it again. Only verified claims are
 * accepted, so that no pod can put Events on another. Confined to the event loop.
 */
public final class EventRecorder {

    private static final Logger LOG = Logger.getLogger(EventRecorder.class);

    private static final Permission CREATE_EVENTS =
            new Permission("put Events on pods", "apiGroups \"\", resources events with the verb create;"
                    + " if it has one, look for a quota or an admission policy");
    private static final String TRUST = "{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"pods.eks.amazonaws.com\"},"
            + "\"Action\":[\"sts:AssumeRole\",\"sts:TagSession\"]}";
    private static final String COMPONENT = "eks-pod-identity-agent";
    private static final Duration WINDOW = Duration.ofMinutes(10);
    /** Longer than any backoff after a refusal, so that a persistent refusal logs a single warning. */
    private static final Duration QUIET = Duration.ofHours(1);
    private static final int MOST_STATUSES = 20;
    /** A restarting API server may refuse a call once or twice before it allows it. */
    private static final int EXPECTED_REFUSALS = 2;
    /** Every pod of the largest node with several causes each; about 400 KiB. */
    private static final int MOST_REMEMBERED = 2_000;
    /** More than the number of pods on a node. */
    private static final int MOST_NAMESPACES = 500;
    /** For all pods of a node together; client-go allows a burst of 25 for a single object. */
    private static final double PER_SECOND = 5;
    private static final int BURST = 50;
    private static final int MOST_WAITING = BURST;
    /** Leaves most of the connections to calls that pods wait for. */
    private static final int MOST_UNDER_WAY = 2;
    /** The API server's limit for the message of a new Event. */
    private static final int LONGEST_MESSAGE = 1024;

    private static final int UNAUTHORIZED = 401;
    private static final int FORBIDDEN = 403;
    private static final int NOT_FOUND = 404;
    private static final int CONFLICT = 409;
    private static final int TOO_MANY_REQUESTS = 429;
    private static final int SERVER_ERROR = 500;

    private final ApiServer api;
    private final String clusterName;
    private final Optional<String> nodeName;
    private final Metrics metrics;
    private final Clock clock;
    private final LongSupplier nanos;
    private final DoubleSupplier random;
    private final RecentKeys<Told> told = new RecentKeys<>(WINDOW, MOST_REMEMBERED);
    /**
     * Kept per namespace: a quota or an admission rule of one namespace causes the same status as a permission missing
     * everywhere.
     */
    private final Map<String, Refusals> refusals = new BoundedMap<>(MOST_NAMESPACES);
    /** The statuses that were recently logged as a warning. */
    private final RecentKeys<Integer> warned = new RecentKeys<>(QUIET, MOST_STATUSES);
    /** Serves the namespaces round-robin. */
    private final FairQueue<Post> waiting = new FairQueue<>(MOST_UNDER_WAY, (namespace, post) -> send(post));
    private final TokenBucket permits;

    /**
     * @param nodeName this node's name, if it is known
     * @param nanos a monotonic clock
     * @param random returns numbers from 0 to 1
     */
    public EventRecorder(
            ApiServer api,
            String clusterName,
            Optional<String> nodeName,
            Metrics metrics,
            Clock clock,
            LongSupplier nanos,
            DoubleSupplier random) {
        this.api = api;
        this.clusterName = clusterName;
        this.nodeName = nodeName;
        this.metrics = metrics;
        this.clock = clock;
        this.nanos = nanos;
        this.random = random;
        this.permits = new TokenBucket(PER_SECOND, BURST, nanos.getAsLong());
    }

    /**
     * Records an Event that a pod gets no credentials, unless the same one was recorded within ten minutes. Returns at once.
     *
     * @param pod the claims of the pod's verified token
     * @param failure why EKS Auth refuses the credentials
     */
    public void credentialsFailed(VerifiedClaims pod, PermanentFailure failure) {
        long now = nanos.getAsLong();
        Told about = new Told(pod.podUid(), failure.reason());
        if (told.contains(about, now) || paused(pod.namespace(), now)) {
            return;
        }
        if (waiting.waiting() >= MOST_WAITING || !permits.tryTake(now)) {
            metrics.event(EventResult.LIMITED);
            return;
        }
        told.add(about, now);
        waiting.add(pod.namespace(), new Post(about, pod.namespace(), event(pod, failure)));
    }

    private JsonObject event(VerifiedClaims pod, PermanentFailure failure) {
        String text = message(pod, failure);
        String said = failure.said().inWords();
        String now = clock.instant().truncatedTo(ChronoUnit.SECONDS).toString();
        JsonObject source = new JsonObject().put("component", COMPONENT);
        JsonObject event = new JsonObject()
                .put("apiVersion", "v1")
                .put("kind", "Event")
                .put("metadata", new JsonObject()
                        .put("generateName", pod.pod() + '.')
                        .put("namespace", pod.namespace()))
                .put("type", "Warning")
                .put("reason", reason(failure.reason()))
                .put("message", bounded(said.isEmpty() ? text : text + ". " + said))
                .put("involvedObject", new JsonObject()
                        .put("apiVersion", "v1")
                        .put("kind", "Pod")
                        .put("namespace", pod.namespace())
                        .put("name", pod.pod())
                        .put("uid", pod.podUid()))
                .put("source", source)
                .put("reportingComponent", COMPONENT)
                .put("firstTimestamp", now)
                .put("lastTimestamp", now)
                .put("count", 1);
        nodeName.ifPresent(name -> {
            source.put("host", name);
            event.put("reportingInstance", name);
        });
        return event;
    }

    private static String reason(Reason reason) {
        return switch (reason) {
            case ACCESS_DENIED -> "CredentialsAccessDenied";
            case NO_ASSOCIATION -> "CredentialsNoAssociation";
            case INVALID_PARAMETER -> "CredentialsInvalidParameter";
            case INVALID_REQUEST -> "CredentialsInvalidRequest";
            case INVALID_TOKEN -> "CredentialsInvalidToken";
            case EXPIRED_TOKEN -> "CredentialsExpiredToken";
        };
    }

    /** Returns the cause and the fix. */
    private String message(VerifiedClaims pod, PermanentFailure failure) {
        String whose = "service account " + pod.namespace() + '/' + pod.serviceAccount() + " in cluster " + clusterName;
        String which = " --cluster-name " + clusterName + " --namespace " + pod.namespace() + " --service-account "
                + pod.serviceAccount();
        return switch (failure.reason()) {
            // EKS Auth does not say which role it is.
            case ACCESS_DENIED -> "EKS Auth may not assume the role of the association of " + whose + ": add " + TRUST
                    + " to the role's trust policy. The association and its role: aws eks list-pod-identity-associations"
                    + which + ", then aws eks describe-pod-identity-association";
            case NO_ASSOCIATION -> "There is no EKS Pod Identity association for " + whose
                    + ": aws eks create-pod-identity-association" + which
                    + " --role-arn <the role's ARN>. A new one takes some seconds";
            case INVALID_PARAMETER, INVALID_REQUEST, INVALID_TOKEN, EXPIRED_TOKEN -> failure.message();
        };
    }

    /** Returns the text, cut at the length that the API server accepts. */
    private static String bounded(String text) {
        if (text.getBytes(StandardCharsets.UTF_8).length <= LONGEST_MESSAGE) {
            return text;
        }
        int bytes = 0;
        int end = 0;
        while (end < text.length()) {
            int codePoint = text.codePointAt(end);
            bytes += Character.toString(codePoint).getBytes(StandardCharsets.UTF_8).length;
            if (bytes > LONGEST_MESSAGE) {
                break;
            }
            end += Character.charCount(codePoint);
        }
        return text.substring(0, end);
    }

    private Turn send(Post post) {
        if (paused(post.namespace, nanos.getAsLong())) {
            told.remove(post.about);
            metrics.event(EventResult.FORBIDDEN);
            return Turn.DROPPED;
        }
        String path = "/api/v1/namespaces/" + URLEncoder.encode(post.namespace, StandardCharsets.UTF_8) + "/events";
        api.post(path, post.event).onComplete(sent -> {
            if (sent.succeeded()) {
                answered(post, sent.result());
            } else {
                tryAgain(post, sent.cause().getMessage());
            }
            waiting.done();
        });
        return Turn.STARTED;
    }

    private void answered(Post post, ApiAnswer answer) {
        int status = answer.status();
        if (answer.ok()) {
            refusals.remove(post.namespace);
            metrics.event(EventResult.CREATED);
        } else if (status == NOT_FOUND || status == FORBIDDEN && terminating(answer)) {
            metrics.event(EventResult.GONE);
        } else if (status == FORBIDDEN) {
            forbidden(post, answer);
        } else if (mayPass(status)) {
            tryAgain(post, CREATE_EVENTS.missing(answer).getMessage());
        } else {
            notTaken(post, answer);
        }
    }

    private void forbidden(Post post, ApiAnswer answer) {
        long now = nanos.getAsLong();
        told.remove(post.about);
        metrics.event(EventResult.FORBIDDEN);
        if (paused(post.namespace, now)) {
            // This one was sent before the first refusal was known.
            return;
        }
        int times = refusals.getOrDefault(post.namespace, Refusals.NONE).times + 1;
        refusals.put(post.namespace,
                new Refusals(times, now + RefusalBackoff.pause(times, random.getAsDouble()).toNanos()));
        if (times > EXPECTED_REFUSALS && news(answer.status(), now)) {
            LOG.warnf("No Event can be recorded for pods of this namespace; retrying",
                    Field.of("namespace", post.namespace),
                    Field.of("remedy", CREATE_EVENTS.missing(answer).getMessage()));
        }
    }

    private void notTaken(Post post, ApiAnswer answer) {
        metrics.event(EventResult.FAILED);
        if (news(answer.status(), nanos.getAsLong())) {
            LOG.warnf("The API server rejects an Event; it is not sent again",
                    Field.of("namespace", post.namespace),
                    Field.of("status", answer.status()),
                    Field.of("reason", answer.reason()),
                    Field.of("remedy", "Look for an admission policy or webhook that rejects the Events of " + COMPONENT));
        }
    }

    private boolean paused(String namespace, long now) {
        Refusals last = refusals.get(namespace);
        return last != null && now - last.until < 0;
    }

    /** Returns whether no warning about this status was due within the last hour. */
    private boolean news(int status, long now) {
        boolean news = !warned.contains(status, now);
        warned.add(status, now);
        return news;
    }

    private void tryAgain(Post post, String remedy) {
        told.remove(post.about);
        metrics.event(EventResult.FAILED);
        LOG.debugf("An Event cannot be recorded at the moment", Field.of("remedy", remedy));
    }

    /** A 409 means that the API server generated the same name for two Events. */
    private static boolean mayPass(int status) {
        return status == UNAUTHORIZED
                || status == CONFLICT
                || status == TOO_MANY_REQUESTS
                || status >= SERVER_ERROR;
    }

    /** Returns whether the 403 means that the namespace is being deleted, so that nothing can be created in it. */
    private static boolean terminating(ApiAnswer answer) {
        try {
            return answer.json("an Event").getValue("details") instanceof JsonObject details
                    && details.getValue("causes") instanceof JsonArray causes
                    && causes.stream().anyMatch(cause -> cause instanceof JsonObject one
                            && "NamespaceTerminating".equals(one.getValue("reason")));
        } catch (CallFailure failure) {
            return false;
        }
    }

    /**
     * Consecutive 403 responses.
     *
     * @param until when to try again, in nanoseconds of the monotonic clock
     */
    private record Refusals(int times, long until) {

        static final Refusals NONE = new Refusals(0, 0);
    }

    private record Told(String podUid, Reason reason) {

        /**
         * Written out because a native executable interprets the generated methods of records, and every refusal is looked
         * up.
         */
        @Override
        public boolean equals(Object other) {
            return other instanceof Told that && podUid.equals(that.podUid) && reason == that.reason;
        }

        @Override
        public int hashCode() {
            return 31 * podUid.hashCode() + reason.hashCode();
        }
    }

    private record Post(Told about, String namespace, JsonObject event) {

        /** Written out for the same reason, because queues are sets. */
        @Override
        public boolean equals(Object other) {
            return other instanceof Post that
                    && about.equals(that.about)
                    && namespace.equals(that.namespace)
                    && event.equals(that.event);
        }

        @Override
        public int hashCode() {
            return about.hashCode();
        }
    }
}
