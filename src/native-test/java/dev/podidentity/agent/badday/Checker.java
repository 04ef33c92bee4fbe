package dev.podidentity.agent.badday;

import dev.podidentity.agent.badday.Exchange.Answer;
import dev.podidentity.agent.badday.Exchange.Broken;
import dev.podidentity.agent.badday.Exchange.GivenUp;
import dev.podidentity.agent.badday.Exchange.Unreachable;
import dev.podidentity.agent.badday.History.Credentials;
import dev.podidentity.agent.badday.History.Ending;
import dev.podidentity.agent.badday.History.Life;
import dev.podidentity.agent.badday.History.Sharing;
import dev.podidentity.agent.badday.History.Span;
import dev.podidentity.agent.badday.Violation.Invariant;
import io.vertx.core.json.DecodeException;
import io.vertx.core.json.JsonObject;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Finds violations in the history of a day. If the expected result of a request is unknown, because it was in flight when a
 * fault began or the agent was told to stop, the results that either state allows are accepted.
 */
public final class Checker {

    private static final Set<String> FIELDS = Set.of("AccessKeyId", "SecretAccessKey", "Token", "AccountId", "Expiration");
    private static final Set<String> ERROR_FIELDS = Set.of("code", "message", "Code", "Message");
    private static final Pattern SECRET = Pattern.compile("emulated-se|eyJ|[0-9A-Za-z_-]{80}");
    private static final String UNAVAILABLE = "ServiceUnavailableException";
    private static final String THROTTLED = "ThrottlingException";
    private static final String INTERNAL = "InternalServerException";

    /** A request accepted this long before SIGTERM must get a response; a later one may not have been accepted yet. */
    private static final long ACCEPTED_BEFORE = Duration.ofMillis(500).toNanos();
    /** A fault begins and ends slightly before or after the test records it. */
    private static final long MARGIN = Duration.ofSeconds(1).toNanos();
    /** Credentials that expire this soon after a request need not have been served to it. */
    private static final long NEAR_EXPIRY = Duration.ofSeconds(2).toNanos();
    /** The time that a response of EKS Auth may take to reach the agent. */
    private static final long ON_THE_WAY = Duration.ofSeconds(2).toNanos();
    /**
     * An error after such a wait means that a deadline expired; EKS Auth, which is part of this test, may have been slow.
     */
    private static final long WAITED = Duration.ofMillis(800).toNanos();
    /** EKS Auth may have been slow if the machine was this busy while calls of the agent may have been in flight. */
    private static final long BUSY = Duration.ofSeconds(1).toNanos();
    private static final long LONGEST_FLIGHT = Duration.ofSeconds(15).toNanos();
    private static final int EXIT_AFTER_SIGTERM = 0;
    private static final int EXIT_AFTER_SIGKILL = 137;
    private static final int EXIT_WITHOUT_HEAP = 3;
    /** Fewer quiet phases show no trend. */
    private static final int PHASES_FOR_A_TREND = 6;

    private final History day;
    private final Rules rules;
    private final Stalls stalls;
    private final Map<String, Credentials> byKey = new HashMap<>();
    private final TreeMap<Long, Duration> clocks = new TreeMap<>();
    private final List<Violation> violations = new ArrayList<>();

    private Checker(History day, Rules rules) {
        this.day = day;
        this.rules = rules;
        this.stalls = new Stalls(day.pauses(), day.delays());
        day.credentials().forEach(credentials -> byKey.put(credentials.accessKeyId(), credentials));
        day.clocks().forEach(error -> clocks.put(error.from(), error.ahead()));
    }

    /** Returns the violations in chronological order. */
    public static List<Violation> check(History day, Rules rules) {
        Checker checker = new Checker(day, rules);
        day.exchanges().forEach(checker::checkExchange);
        checker.checkKeptCredentials();
        checker.checkRecovery();
        checker.checkExits();
        checker.checkResources();
        day.log().forEach(line -> checker.found(Invariant.LOG, 0, line));
        return checker.violations.stream().sorted(Comparator.comparingLong(Violation::at)).toList();
    }

    private void found(Invariant invariant, long at, String what) {
        violations.add(new Violation(invariant, at, what));
    }

    private void found(Invariant invariant, Exchange exchange, String what) {
        found(invariant, exchange.start(), exchange.client() + ", after "
                + Duration.ofNanos(exchange.end() - exchange.start()).toMillis() + " ms: " + what);
    }

    // The result of a request

    private void checkExchange(Exchange exchange) {
        if (exchange.reply() instanceof Answer answer) {
            checkForm(exchange, answer);
            if (answer.status() != 200) {
                checkError(exchange, answer);
            } else if (exchange.client().hostile()) {
                found(Invariant.OWN_CREDENTIALS, exchange, "credentials for a forged token");
            } else {
                json(answer).ifPresent(body -> checkCredentials(exchange, body));
            }
        } else if (exchange.reply() instanceof Unreachable unreachable) {
            checkConnection(exchange, "no connection: " + unreachable.why());
        } else if (exchange.reply() instanceof Broken broken) {
            checkConnection(exchange, "no answer: " + broken.why());
        }
        checkDeadline(exchange);
    }

    private static Optional<JsonObject> json(Answer answer) {
        try {
            return Optional.of(new JsonObject(answer.body()));
        } catch (DecodeException e) {
            return Optional.empty();
        }
    }

    private void checkForm(Exchange exchange, Answer answer) {
        boolean served = answer.status() == 200;
        if (!answer.contentType().equals("application/json")) {
            found(Invariant.FORM, exchange, "Content-Type: " + answer.contentType());
        }
        if (!answer.cacheControl().equals("no-store")) {
            found(Invariant.FORM, exchange, "Cache-Control: " + answer.cacheControl());
        }
        if (answer.status() == 503 && !answer.retryAfter().equals("1")) {
            found(Invariant.FORM, exchange, "503 with Retry-After: " + answer.retryAfter());
        }
        Optional<JsonObject> body = json(answer);
        Set<String> fields = body.map(JsonObject::fieldNames).orElse(Set.of());
        boolean texts = body.stream()
                .flatMap(JsonObject::stream)
                .allMatch(field -> field.getValue() instanceof String text && !text.isBlank());
        if (!fields.equals(served ? FIELDS : ERROR_FIELDS) || !texts) {
            // The body of a 200 may be secret.
            found(Invariant.FORM, exchange, answer.status() + " with the fields " + fields);
        } else if (!served && !(body.get().getString("code").equals(body.get().getString("Code"))
                && body.get().getString("message").equals(body.get().getString("Message")))) {
            found(Invariant.FORM, exchange, "two codes or messages: " + answer.body());
        }
        if (!served && SECRET.matcher(answer.body()).find()) {
            found(Invariant.FORM, exchange, "an error with a secret in it");
        }
    }

    private void checkCredentials(Exchange exchange, JsonObject body) {
        Credentials credentials = byKey.get(body.getString("AccessKeyId"));
        if (credentials == null) {
            found(Invariant.OWN_CREDENTIALS, exchange, "credentials that nobody issued: " + body.getString("AccessKeyId"));
            return;
        }
        if (!credentials.secretAccessKey().equals(body.getString("SecretAccessKey"))
                || !credentials.sessionToken().equals(body.getString("Token"))
                || !credentials.account().equals(body.getString("AccountId"))
                || !credentials.expires().equals(body.getString("Expiration"))) {
            found(Invariant.FORM, exchange, "fields that were not issued with " + credentials);
        }
        if (!mayHave(exchange, credentials)) {
            found(Invariant.OWN_CREDENTIALS, exchange, "credentials " + credentials);
        }
        if (exchange.start() >= expiry(credentials, exchange.start(), exchange.end(), true)) {
            found(Invariant.VALID_CREDENTIALS, exchange, "expired credentials " + credentials);
        }
    }

    private boolean mayHave(Exchange exchange, Credentials credentials) {
        Client client = exchange.client();
        // Between two processes, either may have sent the response.
        Sharing widest = day.lives().stream()
                .filter(life -> life.overlaps(exchange.start(), exchange.end()))
                .map(Life::sharing)
                .max(Comparator.naturalOrder())
                .orElse(Sharing.SERVICE_ACCOUNT);
        return credentials.serviceAccount().equals(client.serviceAccount())
                && switch (widest) {
                    case TOKEN -> credentials.token() == client.token();
                    case POD -> credentials.pod().equals(client.pod());
                    case SERVICE_ACCOUNT -> true;
                };
    }

    /**
     * Returns until when the agent may serve credentials: by its clock now, and by the remaining lifetime on its clock when
     * it received them. Its clock may have been changed in the meantime.
     *
     * @param latest whether to return the latest possible time instead of the earliest
     */
    private long expiry(Credentials credentials, long from, long to, boolean latest) {
        Duration then = ahead(credentials.issued(), credentials.issued() + ON_THE_WAY, latest);
        Duration now = ahead(from, to, latest);
        return credentials.expiry() - (then.compareTo(now) > 0 ? then : now).toNanos();
    }

    /** Returns how far the agent's clock was ahead in this period, at least or at most. */
    private Duration ahead(long from, long to, boolean least) {
        var first = clocks.floorEntry(from - MARGIN);
        Stream<Duration> errors = Stream.concat(
                Stream.of(first == null ? Duration.ZERO : first.getValue()),
                clocks.subMap(from - MARGIN, to + 1).values().stream());
        return (least ? errors.min(Comparator.naturalOrder()) : errors.max(Comparator.naturalOrder())).orElseThrow();
    }

    private void checkError(Exchange exchange, Answer answer) {
        Client client = exchange.client();
        if (client.hostile()) {
            return;
        }
        String code = json(answer).map(body -> body.getString("code")).orElse("");
        List<Span> around = lingering(exchange);
        boolean explained;
        if (answer.status() == 503) {
            boolean fails = around.stream().anyMatch(span -> span.trouble().failsCalls());
            boolean bad = around.stream().anyMatch(span -> span.trouble().makesBadAnswers());
            boolean waited = exchange.end() - exchange.start() >= WAITED
                    || stalls.within(exchange.start() - LONGEST_FLIGHT, exchange.end()) >= BUSY;
            explained = code.equals(UNAVAILABLE) && (fails || waited)
                    || code.equals(THROTTLED) && fails
                    || code.equals(INTERNAL) && bad;
        } else if (answer.status() == 400) {
            explained = code.equals("InvalidTokenException") && notYetValid(exchange);
        } else {
            explained = answer.status() == 403 && code.equals("ResourceNotFoundException")
                    && around.stream().anyMatch(span -> refuses(span, client));
        }
        if (!explained) {
            found(Invariant.EXPLAINED_ERROR, exchange, answer.status() + " " + answer.body() + " while "
                    + around.stream().map(Span::trouble).toList());
        }
    }

    /** Returns whether the token is not yet valid by the agent's clock. */
    private boolean notYetValid(Exchange exchange) {
        long clock = exchange.start() + ahead(exchange.start(), exchange.end(), true).toNanos();
        return clock < exchange.client().issued() + MARGIN;
    }

    private static boolean refuses(Span span, Client client) {
        return span.trouble().refusesOne() && span.serviceAccount().equals(client.serviceAccount());
    }

    /** Returns the faults that may still have affected a request. */
    private List<Span> lingering(Exchange exchange) {
        return day.troubles().stream()
                .filter(span -> span.overlaps(
                        exchange.start() - span.trouble().recovery().toNanos(), exchange.end() + MARGIN))
                .toList();
    }

    private boolean cutOff(Exchange exchange) {
        return cutOff(exchange, day.troubles().stream());
    }

    private boolean cutOff(Exchange exchange, Stream<Span> by) {
        return by.filter(span -> span.trouble().cutsOff())
                .filter(span -> span.from() <= exchange.end() + MARGIN)
                .anyMatch(span -> exchange.start() <= span.to() + span.trouble().aftermath().toNanos()
                        + (exchange.start() > span.to() ? stalls.within(span.to(), exchange.start()) : 0));
    }

    private void checkConnection(Exchange exchange, String what) {
        if (exchange.client().hostile()) {
            return;
        }
        if (!cutOff(exchange) || acceptedBeforeTheEnd(exchange)) {
            found(Invariant.CONNECTION, exchange, what);
        }
    }

    /** Returns whether only SIGTERM can have ended the connection, which it must not do once the request has arrived. */
    private boolean acceptedBeforeTheEnd(Exchange exchange) {
        boolean byOthers = cutOff(exchange, day.troubles().stream().filter(span -> span.trouble() != Trouble.TERMINATED));
        return exchange.reply() instanceof Broken && !byOthers && day.lives().stream()
                .filter(life -> life.ending() == Ending.SIGTERM)
                .anyMatch(life -> life.ready() <= exchange.start()
                        && exchange.end() >= life.told()
                        && exchange.start() + ACCEPTED_BEFORE + stalls.within(exchange.start(), exchange.end())
                                < life.told());
    }

    private void checkDeadline(Exchange exchange) {
        long took = exchange.end() - exchange.start();
        long deadline = exchange.client().kind().deadline().plus(rules.allowance()).toNanos();
        if (took > deadline
                && !exchange.client().hostile()
                && took - stalls.within(exchange.start(), exchange.end()) > deadline
                && !cutOff(exchange)) {
            found(Invariant.DEADLINE, exchange, exchange.reply() instanceof GivenUp ? "no answer" : "late");
        }
    }

    // What the agent must have kept

    private void checkKeptCredentials() {
        List<Exchange> byEnd = day.exchanges().stream()
                .filter(exchange -> !exchange.client().hostile() && exchange.served())
                .sorted(Comparator.comparingLong(Exchange::end))
                .toList();
        List<Exchange> refused = day.exchanges().stream()
                .filter(exchange -> !exchange.client().hostile() && !exchange.served()
                        && exchange.reply() instanceof Answer)
                .sorted(Comparator.comparingLong(Exchange::start))
                .toList();
        for (Life life : day.lives()) {
            Map<String, Exchange> holders = new HashMap<>();
            Set<Integer> sharing = new HashSet<>();
            int next = 0;
            for (Exchange exchange : refused) {
                if (!life.contains(exchange.start(), exchange.end()) || notYetValid(exchange)) {
                    continue;
                }
                for (; next < byEnd.size() && byEnd.get(next).end() <= exchange.start(); next++) {
                    Exchange served = byEnd.get(next);
                    if (life.contains(served.start(), served.end()) && shares(life, served)) {
                        holders.put(sharers(life, served.client()), served);
                        sharing.add(served.client().token());
                    }
                }
                Exchange holder = holders.get(sharers(life, exchange.client()));
                if (holder != null && sharing.contains(exchange.client().token()) && keeps(life, holder, exchange)) {
                    found(Invariant.KEPT_CREDENTIALS, exchange, ((Answer) exchange.reply()).status() + " "
                            + ((Answer) exchange.reply()).body() + " though the agent served "
                            + holder.client() + " at " + holder.start() / 1_000_000 + " ms");
                }
            }
        }
    }

    /**
     * Returns whether the token certainly shares the credentials that were served. A token that could not be verified in
     * time is an identity of its own, and once it is verified, it no longer finds what it received as such.
     */
    private boolean shares(Life life, Exchange served) {
        return life.sharing() == Sharing.TOKEN
                || credentials(served).filter(issued -> issued.token() != served.client().token()).isPresent();
    }

    private Optional<Credentials> credentials(Exchange served) {
        return json((Answer) served.reply()).map(body -> byKey.get(body.getString("AccessKeyId")));
    }

    private static String sharers(Life life, Client client) {
        return switch (life.sharing()) {
            case TOKEN -> "token " + client.token();
            case POD -> client.serviceAccount() + "/" + client.pod();
            case SERVICE_ACCOUNT -> client.serviceAccount();
        };
    }

    private static String sharers(Life life, Credentials credentials) {
        return sharers(life, new Client(0, ClientKind.GO, "", false, false,
                credentials.serviceAccount(), credentials.pod(), credentials.token(), 0));
    }

    /** Returns whether the agent must still have had what the holder received, or its replacement. */
    private boolean keeps(Life life, Exchange holder, Exchange exchange) {
        boolean refusedMeanwhile = day.troubles().stream()
                .anyMatch(span -> refuses(span, exchange.client()) && span.overlaps(
                        holder.start() - span.trouble().recovery().toNanos(), exchange.end() + MARGIN));
        Optional<Credentials> latest = credentials(holder);
        if (refusedMeanwhile || latest.isEmpty()) {
            return false;
        }
        Credentials held = latest.get();
        String sharers = sharers(life, exchange.client());
        return day.credentials().stream()
                .filter(credentials -> credentials == held
                        || credentials.issued() >= held.issued() - ON_THE_WAY && credentials.issued() <= exchange.end()
                                && sharers(life, credentials).equals(sharers))
                // Nor may any credentials that the agent may have received since then have expired.
                .allMatch(credentials ->
                        expiry(credentials, holder.start(), exchange.end(), false) > exchange.end() + NEAR_EXPIRY);
    }

    // What follows a fault

    /**
     * A period without faults, after one.
     *
     * @param recovered when the effects of the previous fault have ended
     */
    private record Quiet(long from, long to, long recovered) {}

    private List<Quiet> quiets() {
        List<Quiet> quiets = new ArrayList<>();
        long end = Long.MIN_VALUE;
        long recovered = Long.MIN_VALUE;
        for (Span span : day.troubles().stream().sorted(Comparator.comparingLong(Span::from)).toList()) {
            if (end != Long.MIN_VALUE && span.from() > end) {
                quiets.add(new Quiet(end, span.from(), recovered));
            }
            end = Math.max(end, span.to());
            recovered = Math.max(recovered, span.to() + span.trouble().recovery().toNanos());
        }
        long last = day.exchanges().stream().mapToLong(Exchange::start).max().orElse(end);
        if (end != Long.MIN_VALUE && last > end) {
            quiets.add(new Quiet(end, last, recovered));
        }
        return quiets;
    }

    private void checkRecovery() {
        for (Quiet quiet : quiets()) {
            long until = stalls.later(quiet.from(), quiet.recovered());
            if (quiet.to() < until) {
                continue;
            }
            Map<Integer, Boolean> served = new TreeMap<>();
            for (Exchange exchange : day.exchanges()) {
                if (!exchange.client().hostile() && exchange.start() >= quiet.from() && exchange.end() <= until) {
                    served.merge(exchange.client().slot(), exchange.served(), Boolean::logicalOr);
                }
            }
            List<Integer> never = served.entrySet().stream().filter(slot -> !slot.getValue()).map(Map.Entry::getKey).toList();
            if (!never.isEmpty()) {
                found(Invariant.RECOVERY, quiet.from(), "no credentials within " + (until - quiet.from()) / 1_000_000
                        + " ms of the end of the troubles: slots " + never);
            }
        }
    }

    private void checkExits() {
        for (Life life : day.lives()) {
            if (life.exitCode().isEmpty()) {
                continue;
            }
            int code = life.exitCode().getAsInt();
            boolean littleMemory = day.troubles().stream()
                    .anyMatch(span -> span.trouble().mayEndTheAgent() && span.overlaps(life.ended() - MARGIN, life.ended()));
            boolean expected = switch (life.ending()) {
                case SIGTERM -> code == EXIT_AFTER_SIGTERM;
                case SIGKILL -> code == EXIT_AFTER_SIGKILL;
                case NOT_TOLD -> false;
            };
            if (!expected && !(littleMemory && (code == EXIT_AFTER_SIGKILL || code == EXIT_WITHOUT_HEAP))) {
                found(Invariant.EXIT, life.ended(), "the agent ended with " + code + ", " + life.ending());
            }
        }
    }

    /** Returns what the last process used at rest after each fault: the median of each quiet phase that is long enough. */
    public static List<History.Vitals> quietPhases(History day, Rules rules) {
        List<List<History.Vitals>> phases = new Checker(day, rules).phases();
        return phases.isEmpty() ? List.of() : phases.get(phases.size() - 1);
    }

    /** Returns the medians of the quiet phases, for each process that has any. */
    private List<List<History.Vitals>> phases() {
        List<Quiet> quiets = quiets();
        return day.lives().stream()
                .map(life -> quiets.stream()
                        .filter(quiet -> life.contains(quiet.from(), quiet.to()))
                        .flatMap(quiet -> median(quiet.from() + rules.settling().toNanos(), quiet.to()).stream())
                        .toList())
                .filter(phases -> !phases.isEmpty())
                .toList();
    }

    private void checkResources() {
        phases().forEach(this::checkReturn);
        phases().forEach(this::checkGrowth);
    }

    private Optional<History.Vitals> median(long from, long to) {
        List<History.Vitals> within = day.vitals().stream().filter(vitals -> vitals.at() >= from && vitals.at() <= to).toList();
        return within.isEmpty() ? Optional.empty() : Optional.of(median(within));
    }

    static History.Vitals median(List<History.Vitals> vitals) {
        return new History.Vitals(
                vitals.get(0).at(),
                median(vitals.stream().map(History.Vitals::anonymousKib)),
                median(vitals.stream().map(History.Vitals::descriptors)),
                median(vitals.stream().map(History.Vitals::threads)));
    }

    private static long median(Stream<Long> values) {
        List<Long> sorted = values.sorted().toList();
        return sorted.get(sorted.size() / 2);
    }

    private void checkReturn(List<History.Vitals> phases) {
        History.Vitals first = phases.get(0);
        for (History.Vitals phase : phases) {
            compare(Invariant.RESOURCES, first, phase, rules.memoryKib());
        }
    }

    private void checkGrowth(List<History.Vitals> phases) {
        if (phases.size() >= PHASES_FOR_A_TREND) {
            int third = phases.size() / 3;
            compare(Invariant.GROWTH,
                    median(phases.subList(0, third)),
                    median(phases.subList(phases.size() - third, phases.size())),
                    rules.growthKib());
        }
    }

    private void compare(Invariant invariant, History.Vitals before, History.Vitals after, long kib) {
        if (after.anonymousKib() > before.anonymousKib() + kib
                || after.descriptors() > before.descriptors() + rules.descriptors()
                || after.threads() > before.threads() + rules.threads()) {
            found(invariant, after.at(), "from " + before + " to " + after);
        }
    }
}
