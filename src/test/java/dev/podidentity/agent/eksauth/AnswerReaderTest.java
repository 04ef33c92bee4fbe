package dev.podidentity.agent.eksauth;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import software.amazon.awssdk.services.eksauth.model.AssumeRoleForPodIdentityResponse;
import software.amazon.awssdk.services.eksauth.model.AssumedRoleUser;
import software.amazon.awssdk.services.eksauth.model.Credentials;
import software.amazon.awssdk.services.eksauth.model.PodIdentityAssociation;
import software.amazon.awssdk.services.eksauth.model.Subject;

class AnswerReaderTest {

    private static final Instant NOW = Instant.parse("2026-03-01T12:00:00Z");
    private static final String ARN = "arn:aws:sts::123456789012:assumed-role/shop/eks-prod-cart";

    private final AnswerReader reader = new AnswerReader(Clock.fixed(NOW, ZoneOffset.UTC));

    @Test
    void readsAGoodAnswer() {
        assertThat(reader.read(new Answer().build())).isEqualTo(new IssuedCredentials(
                "ASIAEXAMPLE", "s3cret", "s3ssion", "123456789012", NOW.plusSeconds(3600), "shop", "cart", ARN, "a-1"));
    }

    static Stream<Arguments> fields() {
        return Stream.of(
                field("audience", (answer, value) -> answer.audience = value),
                field("credentials.accessKeyId", (answer, value) -> answer.credentials.accessKeyId(value)),
                field("credentials.secretAccessKey", (answer, value) -> answer.credentials.secretAccessKey(value)),
                field("credentials.sessionToken", (answer, value) -> answer.credentials.sessionToken(value)),
                field("assumedRoleUser.arn", (answer, value) -> answer.role.arn(value)),
                field("assumedRoleUser.assumeRoleId", (answer, value) -> answer.role.assumeRoleId(value)),
                field("subject.namespace", (answer, value) -> answer.subject.namespace(value)),
                field("subject.serviceAccount", (answer, value) -> answer.subject.serviceAccount(value)),
                field("podIdentityAssociation.associationArn", (answer, value) -> answer.association.associationArn(value)),
                field("podIdentityAssociation.associationId", (answer, value) -> answer.association.associationId(value)));
    }

    private static Arguments field(String name, BiConsumer<Answer, String> setter) {
        return arguments(name, setter);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("fields")
    void refusesAnAnswerWithoutAField(String name, BiConsumer<Answer, String> setter) {
        for (String nothing : new String[] {null, "", " ", "\t\n"}) {
            Answer answer = new Answer();
            setter.accept(answer, nothing);

            assertBad(answer, "it has no " + name);
        }
    }

    static Stream<Arguments> parts() {
        return Stream.of(
                part("credentials", answer -> answer.credentials = null),
                part("assumedRoleUser", answer -> answer.role = null),
                part("subject", answer -> answer.subject = null),
                part("podIdentityAssociation", answer -> answer.association = null),
                part("credentials.expiration", answer -> answer.credentials.expiration(null)));
    }

    private static Arguments part(String name, Consumer<Answer> without) {
        return arguments(name, without);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("parts")
    void refusesAnAnswerWithoutAPart(String name, Consumer<Answer> without) {
        Answer answer = new Answer();
        without.accept(answer);

        assertBad(answer, "it has no " + name);
    }

    @Test
    void refusesAnEmptyAnswer() {
        assertThat(reader.read(AssumeRoleForPodIdentityResponse.builder().build())).isInstanceOf(TransientFailure.class);
    }

    @ParameterizedTest
    @CsvSource({
        "arn:aws:sts::123456789012:assumed-role/r/s, 123456789012",
        "arn:aws-cn:sts::000000000001:assumed-role/r/s, 000000000001",
        "arn:aws-us-gov:sts::123456789012:assumed-role/r/s, 123456789012",
        "arn:aws-iso-b:sts::123456789012:assumed-role/r/s, 123456789012",
        "arn:aws:sts::123456789012:assumed-role/team:a/s=1@b, 123456789012"
    })
    void readsTheAccountFromTheRoleOfAnyPartition(String arn, String account) {
        Answer answer = new Answer();
        answer.role.arn(arn);

        assertThat(reader.read(answer.build())).isInstanceOfSatisfying(IssuedCredentials.class, issued -> {
            assertThat(issued.accountId()).isEqualTo(account);
            assertThat(issued.roleArn()).isEqualTo(arn);
        });
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "role", "arn:aws:iam::123456789012:role/shop", "arn:aws:sts::12345678901:assumed-role/r/s",
        "arn:aws:sts::1234567890123:assumed-role/r/s", "arn:aws:sts:us-west-2:123456789012:assumed-role/r/s",
        "arn:aws:sts::123456789012:assumed-role/", "arn::sts::123456789012:assumed-role/r/s",
        "arn:aws:sts::12345678901x:assumed-role/r/s", " arn:aws:sts::123456789012:assumed-role/r/s",
        "arn:aws:sts::123456789012:federated-user/u"})
    void refusesWhatIsNotTheArnOfAnAssumedRole(String arn) {
        Answer answer = new Answer();
        answer.role.arn(arn);

        assertBad(answer, "assumedRoleUser.arn is not the ARN of an assumed role");
    }

    @ParameterizedTest
    @ValueSource(longs = {0, -1, -86_400})
    void refusesCredentialsThatHaveExpired(long seconds) {
        Answer answer = new Answer();
        answer.credentials.expiration(NOW.plusSeconds(seconds));

        assertBad(answer, "already expired; check the clock of this node");
    }

    @Test
    void readsCredentialsThatAreAboutToExpire() {
        Answer answer = new Answer();
        answer.credentials.expiration(NOW.plusMillis(1));

        assertThat(reader.read(answer.build())).isInstanceOf(IssuedCredentials.class);
    }

    @Test
    void showsNoSecretAsText() {
        assertThat(reader.read(new Answer().build()).toString()).doesNotContain("s3cret").doesNotContain("s3ssion");
    }

    private void assertBad(Answer answer, String message) {
        assertThat(reader.read(answer.build())).isInstanceOfSatisfying(TransientFailure.class, failure -> {
            assertThat(failure.reason()).isEqualTo(TransientFailure.Reason.BAD_ANSWER);
            assertThat(failure.message()).contains(message).doesNotContain("s3cret", "s3ssion");
        });
    }

    /** Builds a valid response, parts of which a test can change. */
    private static final class Answer {

        private String audience = "pods.eks.amazonaws.com";
        private Credentials.Builder credentials = Credentials.builder()
                .accessKeyId("ASIAEXAMPLE")
                .secretAccessKey("s3cret")
                .sessionToken("s3ssion")
                .expiration(NOW.plusSeconds(3600));
        private AssumedRoleUser.Builder role = AssumedRoleUser.builder().arn(ARN).assumeRoleId("AROAEXAMPLE:eks-prod-cart");
        private Subject.Builder subject = Subject.builder().namespace("shop").serviceAccount("cart");
        private PodIdentityAssociation.Builder association = PodIdentityAssociation.builder()
                .associationArn("arn:aws:eks:us-west-2:123456789012:podidentityassociation/prod/a-1")
                .associationId("a-1");

        AssumeRoleForPodIdentityResponse build() {
            return AssumeRoleForPodIdentityResponse.builder()
                    .audience(audience)
                    .credentials(credentials == null ? null : credentials.build())
                    .assumedRoleUser(role == null ? null : role.build())
                    .subject(subject == null ? null : subject.build())
                    .podIdentityAssociation(association == null ? null : association.build())
                    .build();
        }
    }
}
