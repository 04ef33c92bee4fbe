package dev.podidentity.agent.badday;

import static dev.podidentity.agent.badday.MadeUpDay.body;
import static dev.podidentity.agent.badday.MadeUpDay.client;
import static dev.podidentity.agent.badday.MadeUpDay.error;
import static dev.podidentity.agent.badday.MadeUpDay.served;
import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.badday.Exchange.Answer;
import dev.podidentity.agent.badday.Exchange.Broken;
import dev.podidentity.agent.badday.Exchange.GivenUp;
import dev.podidentity.agent.badday.Exchange.Unreachable;
import dev.podidentity.agent.badday.History.Credentials;
import dev.podidentity.agent.badday.History.Ending;
import dev.podidentity.agent.badday.History.Sharing;
import dev.podidentity.agent.badday.Violation.Invariant;
import io.vertx.core.json.JsonObject;
import java.time.Duration;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Fictitious days, each with one violation or with one permitted anomaly. Times are in milliseconds. */
class CheckerTest {

    private static final Client ANNA = client(0, ClientKind.JAVA, "anna", "anna-0", 1);
    private static final Client ANNAS_OTHER_POD = client(1, ClientKind.JAVA, "anna", "anna-1", 2);
    private static final Client ANNAS_OTHER_TOKEN = client(0, ClientKind.JAVA, "anna", "anna-0", 3);
    private static final Client BERT = client(2, ClientKind.GO, "bert", "bert-0", 4);
    private static final String UNAVAILABLE = "ServiceUnavailableException";

    private final MadeUpDay day = new MadeUpDay();

    private void assertFine() {
        assertThat(day.check()).isEmpty();
    }

    private void assertFound(Invariant invariant) {
        assertThat(day.check()).extracting(Violation::invariant).containsExactly(invariant);
    }

    @Test
    void aGoodDayIsFine() {
        day.serve(ANNA, 100, day.issue(ANNA, 50)).serve(BERT, 200, day.issue(BERT, 150));
        assertFine();
    }

    // Whose credentials

    @Test
    void findsCredentialsOfAnotherServiceAccount() {
        day.life(Sharing.SERVICE_ACCOUNT, 0, 1_000).serve(ANNA, 100, day.issue(BERT, 50));
        assertFound(Invariant.OWN_CREDENTIALS);
    }

    @Test
    void findsCredentialsOfAnotherPodUnlessTheServiceAccountShares() {
        day.life(Sharing.SERVICE_ACCOUNT, 0, 1_000).serve(ANNA, 100, day.issue(ANNAS_OTHER_POD, 50));
        assertFine();
        day.life(Sharing.POD, 2_000, 3_000).serve(ANNA, 2_100, day.issue(ANNAS_OTHER_POD, 50));
        assertFound(Invariant.OWN_CREDENTIALS);
    }

    @Test
    void findsCredentialsOfAnotherTokenUnlessThePodShares() {
        day.life(Sharing.POD, 0, 1_000).serve(ANNA, 100, day.issue(ANNAS_OTHER_TOKEN, 50));
        assertFine();
        day.life(Sharing.TOKEN, 2_000, 3_000).serve(ANNA, 2_100, day.issue(ANNAS_OTHER_TOKEN, 50));
        assertFound(Invariant.OWN_CREDENTIALS);
    }

    @Test
    void findsCredentialsForAForgedToken() {
        day.serve(ANNA.forged("127.0.9.1"), 100, day.issue(ANNA, 50));
        assertFound(Invariant.OWN_CREDENTIALS);
    }

    @Test
    void findsCredentialsThatNobodyIssued() {
        Credentials issued = new MadeUpDay().issue(ANNA, 50);
        day.exchange(ANNA, 100, 102, served(issued));
        assertFound(Invariant.OWN_CREDENTIALS);
    }

    // Until when

    @Test
    void findsExpiredCredentials() {
        Credentials issued = day.issue(ANNA, 50, 5_000);
        day.serve(ANNA, 4_999, issued);
        assertFine();
        day.serve(ANNA, 5_000, issued);
        assertFound(Invariant.VALID_CREDENTIALS);
    }

    @Test
    void findsCredentialsThatAClockSetBackHasBroughtBackToLife() {
        Credentials issued = day.issue(ANNA, 50, 10_000);
        day.clock(5_000, Duration.ofHours(-2)).serve(ANNA, 10_001, issued);
        assertFound(Invariant.VALID_CREDENTIALS);
    }

    @Test
    void findsCredentialsThatAreExpiredByTheAgentsClockThatIsAhead() {
        Credentials issued = day.issue(ANNA, 50, 10_000);
        day.clock(5_000, Duration.ofSeconds(3)).serve(ANNA, 7_500, issued);
        assertFound(Invariant.VALID_CREDENTIALS);
    }

    @Test
    void allowsWhatAnAgentWithAWrongClockCannotKnow() {
        Credentials issued = day.issue(ANNA, 3_000, 10_000);
        day.clock(1_000, Duration.ofSeconds(-60)).serve(ANNA, 30_000, issued);
        assertFine();
    }

    // In which form

    static Stream<Answer> malformed() {
        Credentials issued = new MadeUpDay().issue(ANNA, 50);
        JsonObject body = body(issued);
        String encoded = body.encode();
        JsonObject twoCodes = new JsonObject(error(503, UNAVAILABLE, "try again").body()).put("Code", "Other");
        return Stream.of(
                new Answer(200, "text/plain", "no-store", "", encoded),
                new Answer(200, "application/json;charset=UTF-8", "no-store", "", encoded),
                new Answer(200, "application/json", "", "", encoded),
                new Answer(200, "application/json", "no-store", "", "oops"),
                new Answer(200, "application/json", "no-store", "", ""),
                new Answer(200, "application/json", "no-store", "", without(body, "Token")),
                new Answer(200, "application/json", "no-store", "", without(body, "Expiration")),
                new Answer(200, "application/json", "no-store", "", body.copy().put("AccountId", 123_456_789_012L).encode()),
                new Answer(200, "application/json", "no-store", "", body.copy().put("SecretAccessKey", "other").encode()),
                new Answer(200, "application/json", "no-store", "", body.copy().put("Expiration", "2026-01-01T06:00:00.5Z").encode()),
                new Answer(200, "application/json", "no-store", "", body.copy().put("More", "x").encode()),
                new Answer(503, "text/plain", "no-store", "1", error(503, UNAVAILABLE, "try again").body()),
                new Answer(503, "application/json", "no-store", "", error(503, UNAVAILABLE, "try again").body()),
                new Answer(503, "application/json", "no-store", "30", error(503, UNAVAILABLE, "try again").body()),
                new Answer(503, "application/json", "no-store", "1", twoCodes.encode()),
                error(503, UNAVAILABLE, " "),
                error(503, UNAVAILABLE, "emulated-session-anna-x"),
                error(503, UNAVAILABLE, "eyJhbGciOiJSUzI1NiJ9"));
    }

    private static String without(JsonObject body, String field) {
        JsonObject less = body.copy();
        less.remove(field);
        return less.encode();
    }

    @ParameterizedTest
    @MethodSource("malformed")
    void findsAnswersThatAreNotWhatTheContractSays(Answer answer) {
        day.issue(ANNA, 50);
        day.trouble(Trouble.HANGING, 0, 1_000).exchange(ANNA, 100, 110, answer);
        assertThat(day.check()).extracting(Violation::invariant).isNotEmpty().containsOnly(Invariant.FORM);
    }

    // Which errors

    @ParameterizedTest
    @CsvSource({
        "HANGING, 503, ServiceUnavailableException",
        "RESETTING, 503, ServiceUnavailableException",
        "THROTTLING, 503, ThrottlingException",
        "WRONG_BODIES, 503, InternalServerException",
        "TERMINATED, 503, ServiceUnavailableException",
    })
    void allowsTheErrorsOfATroubleWhileItLastsAndABitLonger(Trouble trouble, int status, String code) {
        day.trouble(trouble, 1_000, 2_000).refuse(ANNA, 1_500, status, code).refuse(ANNA, 16_000, status, code);
        assertFine();
        day.refuse(ANNA, 18_000, status, code);
        assertThat(day.check()).extracting(Violation::invariant).contains(Invariant.EXPLAINED_ERROR);
    }

    @ParameterizedTest
    @CsvSource({
        "API_SERVER_AWAY, 503, ServiceUnavailableException",
        "HOSTILE_POD, 503, ThrottlingException",
        "THROTTLING, 429, ThrottlingException",
        "THROTTLING, 503, InternalServerException",
        "HANGING, 500, ServiceUnavailableException",
        "HANGING, 403, AccessDeniedException",
        "HANGING, 503, SomethingElse",
        "NO_ASSOCIATION, 503, ThrottlingException",
    })
    void findsErrorsThatATroubleDoesNotExplain(Trouble trouble, int status, String code) {
        day.trouble(trouble, 0, 1_000).refuse(ANNA, 500, status, code);
        assertFound(Invariant.EXPLAINED_ERROR);
    }

    @Test
    void allowsTheRefusalOfTheServiceAccountWithoutAssociationOnly() {
        day.trouble(Trouble.NO_ASSOCIATION, 0, 1_000, "anna").refuse(ANNA, 500, 403, "ResourceNotFoundException");
        assertFine();
        day.refuse(BERT, 500, 403, "ResourceNotFoundException");
        assertFound(Invariant.EXPLAINED_ERROR);
    }

    @Test
    void allowsThatEksAuthWasSlowWithoutATrouble() {
        day.exchange(ANNA, 100, 1_000, error(503, UNAVAILABLE, "EKS Auth has not answered within 900 ms"));
        assertFine();
        day.exchange(ANNA, 2_000, 2_010, error(503, UNAVAILABLE, "EKS Auth has not answered within 900 ms"));
        assertFound(Invariant.EXPLAINED_ERROR);
    }

    @Test
    void allowsThatTheMachineWasTooBusyForEksAuth() {
        day.pause(2_000, 3_500).exchange(ANNA, 9_000, 9_700, error(503, UNAVAILABLE, "EKS Auth has not answered"));
        assertFine();
        day.exchange(ANNA, 30_000, 30_700, error(503, UNAVAILABLE, "EKS Auth has not answered"));
        assertFound(Invariant.EXPLAINED_ERROR);
    }

    @Test
    void allowsThatATokenIsRefusedAsOneOfTheFutureByAClockThatIsBehind() {
        Client late = new Client(0, ClientKind.JAVA, "127.0.1.1", true, false, "anna", "anna-0", 1, 5_000_000_000L);
        day.clock(10_000, Duration.ofHours(-2)).clock(20_000, Duration.ZERO)
                .refuse(late, 12_000, 400, "InvalidTokenException");
        assertFine();
        day.refuse(ANNA, 12_000, 400, "InvalidTokenException").refuse(late, 25_000, 400, "InvalidTokenException");
        assertThat(day.check()).extracting(Violation::invariant)
                .containsExactly(Invariant.EXPLAINED_ERROR, Invariant.EXPLAINED_ERROR);
    }

    // How soon

    @Test
    void findsAnAnswerAfterTheDeadlineOfItsClient() {
        day.trouble(Trouble.HANGING, 0, 20_000)
                .exchange(ANNA, 100, 1_450, error(503, UNAVAILABLE, "try again"))
                .exchange(BERT, 100, 2_450, error(503, UNAVAILABLE, "try again"));
        assertFine();
        day.exchange(ANNA, 3_000, 4_450, error(503, UNAVAILABLE, "try again"));
        assertFound(Invariant.DEADLINE);
    }

    @Test
    void findsNoAnswerAtAll() {
        day.trouble(Trouble.HANGING, 0, 20_000).exchange(BERT, 100, 6_100, new GivenUp());
        assertFound(Invariant.DEADLINE);
    }

    @Test
    void doesNotTakeAPauseOfTheTestForTheAgents() {
        day.serve(ANNA, 10, day.issue(ANNA, 5)).pause(200, 1_200)
                .exchange(ANNA, 100, 1_800, served(day.issue(ANNA, 90)));
        assertFine();
        day.exchange(ANNA, 1_000, 2_700, served(day.issue(ANNA, 990)));
        assertFound(Invariant.DEADLINE);
    }

    @Test
    void doesNotTakeAWaitForAProcessorForTheAgents() {
        day.delay(50, 0).delay(1_000, 600).delay(2_000, 600).delay(9_000, 600)
                .exchange(ANNA, 100, 1_800, served(day.issue(ANNA, 90)));
        assertFine();
        day.exchange(ANNA, 3_000, 4_700, served(day.issue(ANNA, 2_990)));
        assertFound(Invariant.DEADLINE);
    }

    // What is kept

    private void refusedWhileEksAuthIsDown(Client client) {
        day.trouble(Trouble.REFUSING, 30_000, 35_000).refuse(client, 31_000, 503, UNAVAILABLE);
    }

    /** Makes a client's credentials those that are cached for its token alone. */
    private void byToken() {
        day.life(Sharing.TOKEN, 0, 100_000);
    }

    @Test
    void findsThatValidCredentialsAreRefusedWhileEksAuthIsDown() {
        byToken();
        day.serve(ANNA, 20_000, day.issue(ANNA, 50));
        refusedWhileEksAuthIsDown(ANNA);
        assertFound(Invariant.KEPT_CREDENTIALS);
    }

    @Test
    void findsThatWhatAPodsOtherTokenGotIsRefused() {
        day.serve(ANNA, 20_000, day.issue(ANNAS_OTHER_TOKEN, 50));
        refusedWhileEksAuthIsDown(ANNA);
        assertFound(Invariant.KEPT_CREDENTIALS);
    }

    @Test
    void findsThatWhatAnotherPodGotIsRefused() {
        day.life(Sharing.SERVICE_ACCOUNT, 0, 100_000).serve(ANNA, 20_000, day.issue(ANNAS_OTHER_POD, 50));
        refusedWhileEksAuthIsDown(ANNA);
        assertFound(Invariant.KEPT_CREDENTIALS);
    }

    @Test
    void allowsThatATokenIsRefusedThatMayNotHaveBeenVerifiedBefore() {
        day.life(Sharing.SERVICE_ACCOUNT, 0, 100_000).serve(ANNA, 20_000, day.issue(ANNA, 50));
        refusedWhileEksAuthIsDown(ANNA);
        assertFine();
    }

    @Test
    void allowsThatThoseWhoHaveNothingAreRefused() {
        byToken();
        day.serve(ANNA, 20_000, day.issue(ANNA, 50));
        refusedWhileEksAuthIsDown(BERT);
        refusedWhileEksAuthIsDown(ANNAS_OTHER_POD);
        refusedWhileEksAuthIsDown(ANNAS_OTHER_TOKEN);
        assertFine();
    }

    @Test
    void allowsThatCredentialsAreRefusedThatExpire() {
        byToken();
        day.serve(ANNA, 20_000, day.issue(ANNA, 50, 32_000));
        refusedWhileEksAuthIsDown(ANNA);
        assertFine();
    }

    @Test
    void allowsThatWhatReplacedThemHasExpired() {
        byToken();
        day.serve(ANNA, 20_000, day.issue(ANNA, 50));
        day.issue(ANNA, 21_000, 25_000);
        refusedWhileEksAuthIsDown(ANNA);
        assertFine();
    }

    @Test
    void allowsThatTheyHaveExpiredByAClockThatIsAhead() {
        byToken();
        day.serve(ANNA, 20_000, day.issue(ANNA, 50));
        day.clock(30_500, Duration.ofHours(7));
        refusedWhileEksAuthIsDown(ANNA);
        assertFine();
    }

    @Test
    void knowsThatAnotherProcessHasAnEmptyCache() {
        day.life(Sharing.TOKEN, 0, Ending.SIGKILL, 28_000, 137).life(Sharing.TOKEN, 28_100, 100_000)
                .trouble(Trouble.KILLED, 28_000, 28_100);
        day.serve(ANNA, 20_000, day.issue(ANNA, 50));
        refusedWhileEksAuthIsDown(ANNA);
        assertFine();
    }

    @Test
    void knowsThatARefusalTakesCredentialsAway() {
        byToken();
        day.serve(ANNA, 20_000, day.issue(ANNA, 50));
        day.trouble(Trouble.NO_ASSOCIATION, 25_000, 26_000, "anna");
        refusedWhileEksAuthIsDown(ANNA);
        assertFine();
    }

    // Connections

    @Test
    void findsRefusedAndBrokenConnections() {
        day.trouble(Trouble.HOSTILE_POD, 0, 1_000)
                .exchange(ANNA, 100, 101, new Unreachable("refused"))
                .exchange(BERT, 100, 101, new Broken("reset"));
        assertThat(day.check()).extracting(Violation::invariant).containsExactly(Invariant.CONNECTION, Invariant.CONNECTION);
    }

    @ParameterizedTest
    @EnumSource(names = {"TERMINATED", "KILLED", "NO_DESCRIPTORS", "LITTLE_MEMORY"})
    void allowsThemWhereTheAgentCannotBeReached(Trouble trouble) {
        day.trouble(trouble, 1_000, 2_000)
                .exchange(ANNA, 1_500, 1_501, new Unreachable("refused"))
                .exchange(BERT, 1_500, 1_501, new Broken("reset"));
        assertFine();
    }

    @Test
    void findsThatTheAgentCannotBeReachedLongAfterATrouble() {
        day.trouble(Trouble.KILLED, 1_000, 2_000).trouble(Trouble.NO_DESCRIPTORS, 20_000, 21_000)
                .exchange(ANNA, 2_900, 2_901, new Broken("reset"))
                .serve(ANNA, 10_000, day.issue(ANNA, 9_000))
                .exchange(ANNA, 25_900, 25_901, new Broken("reset"));
        assertFine();
        day.exchange(ANNA, 3_100, 3_101, new Broken("reset")).exchange(ANNA, 26_100, 26_101, new Broken("reset"));
        assertThat(day.check()).extracting(Violation::invariant).containsExactly(Invariant.CONNECTION, Invariant.CONNECTION);
    }

    @Test
    void findsThatSigtermTakesAnAnswerAway() {
        day.life(Sharing.POD, 0, 2_000).trouble(Trouble.TERMINATED, 2_000, 3_000).trouble(Trouble.HANGING, 0, 3_000)
                .exchange(ANNA, 1_900, 2_010, new Broken("reset"));
        assertFine();
        day.exchange(ANNA, 1_400, 2_010, new Broken("reset"));
        assertFound(Invariant.CONNECTION);
    }

    // Afterwards

    @Test
    void findsWhoIsNotServedAgain() {
        day.trouble(Trouble.REFUSING, 1_000, 2_000).refuse(ANNA, 3_000, 503, UNAVAILABLE)
                .serve(BERT, 3_000, day.issue(BERT, 2_500)).serve(BERT, 18_000, day.issue(BERT, 17_000));
        assertFound(Invariant.RECOVERY);
    }

    @Test
    void givesTheAgentTheTimeThatItHadNoProcessor() {
        day.trouble(Trouble.REFUSING, 1_000, 2_000).refuse(ANNA, 3_000, 503, UNAVAILABLE);
        for (long second = 1; second < 60; second++) {
            // The event loop was runnable all the time, and ran only every other second.
            day.delay(second * 1_000, second * 500);
        }
        day.serve(ANNA, 30_000, day.issue(ANNA, 29_000)).serve(ANNA, 59_000, day.issue(ANNA, 29_000));
        assertFine();
        day.trouble(Trouble.REFUSING, 100_000, 101_000).refuse(ANNA, 102_000, 503, UNAVAILABLE)
                .serve(ANNA, 130_000, day.issue(ANNA, 129_000));
        assertThat(day.check()).extracting(Violation::invariant).contains(Invariant.RECOVERY);
    }

    @Test
    void waitsNoLongerThanUntilTheNextTrouble() {
        day.trouble(Trouble.REFUSING, 1_000, 2_000).refuse(ANNA, 3_000, 503, UNAVAILABLE)
                .trouble(Trouble.HANGING, 4_000, 5_000)
                .serve(ANNA, 6_000, day.issue(ANNA, 5_500)).serve(ANNA, 25_000, day.issue(ANNA, 5_500));
        assertFine();
    }

    @Test
    void givesAFileTheTimeUntilItIsReadAgain() {
        day.trouble(Trouble.HALF_WRITTEN_CREDENTIALS, 1_000, 2_000).refuse(ANNA, 30_000, 503, UNAVAILABLE)
                .serve(ANNA, 70_000, day.issue(ANNA, 69_000)).serve(ANNA, 80_000, day.issue(ANNA, 69_000));
        assertFine();
    }

    @ParameterizedTest
    @CsvSource({"NOT_TOLD, 0", "NOT_TOLD, 137", "NOT_TOLD, 3", "SIGTERM, 137", "SIGTERM, 1", "SIGKILL, 0"})
    void findsExitsThatAreNotWhatTheAgentWasTold(Ending ending, int code) {
        day.life(Sharing.POD, 0, ending, 1_000, code);
        assertFound(Invariant.EXIT);
    }

    @ParameterizedTest
    @CsvSource({"SIGTERM, 0, HANGING", "SIGKILL, 137, HANGING", "NOT_TOLD, 137, LITTLE_MEMORY", "NOT_TOLD, 3, LITTLE_MEMORY"})
    void allowsExitsThatAre(Ending ending, int code, Trouble trouble) {
        day.trouble(trouble, 500, 1_500).life(Sharing.POD, 0, ending, 1_000, code);
        assertFine();
    }

    @Test
    void findsWhatTheLogMustNotHold() {
        day.log("a secret");
        assertFound(Invariant.LOG);
    }

    @ParameterizedTest
    @CsvSource({"50000, 20, 15", "10000, 200, 15", "10000, 20, 30"})
    void findsWhatDoesNotComeBack(long kib, long descriptors, long threads) {
        day.trouble(Trouble.HANGING, 1_000, 2_000).trouble(Trouble.HANGING, 40_000, 41_000)
                .serve(ANNA, 16_000, day.issue(ANNA, 15_500)).serve(ANNA, 80_000, day.issue(ANNA, 15_500));
        day.vitals(20_000, 10_000, 20, 15).vitals(30_000, 10_000, 20, 15);
        // Not settled yet.
        day.vitals(45_000, 90_000, 900, 90);
        day.vitals(60_000, 10_000, 20, 15).vitals(61_000, 10_500, 22, 16).vitals(62_000, 10_500, 22, 16);
        assertFine();
        day.vitals(63_000, kib, descriptors, threads).vitals(64_000, kib, descriptors, threads)
                .vitals(65_000, kib, descriptors, threads).vitals(66_000, kib, descriptors, threads);
        assertFound(Invariant.RESOURCES);
    }

    @Test
    void allowsSomeGrowth() {
        grow(500);
        assertFine();
    }

    @Test
    void findsMoreGrowth() {
        grow(1_500);
        assertFound(Invariant.GROWTH);
    }

    /** Nine faults a minute apart, with more memory in use after each. */
    private void grow(long kib) {
        Credentials issued = day.issue(ANNA, 5);
        for (int minute = 0; minute < 9; minute++) {
            long from = minute * 60_000L;
            day.trouble(Trouble.API_SERVER_AWAY, from, from + 1_000).serve(ANNA, from + 10_000, issued)
                    .vitals(from + 30_000, 10_000 + minute * kib, 20, 15);
        }
        day.serve(ANNA, 560_000, issued);
    }

    @Test
    void comparesMemoryWithinOneProcessOnly() {
        day.life(Sharing.POD, 0, 40_000).life(Sharing.POD, 40_100, 90_000)
                .trouble(Trouble.HANGING, 1_000, 2_000).trouble(Trouble.TERMINATED, 40_000, 40_100)
                .serve(ANNA, 16_000, day.issue(ANNA, 15_500)).serve(ANNA, 80_000, day.issue(ANNA, 15_500))
                .vitals(30_000, 10_000, 20, 15).vitals(60_000, 90_000, 20, 15);
        assertFine();
    }
}
