package dev.podidentity.agent.doctor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.podidentity.agent.apiserver.ApiAnswer;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.json.JsonArray;
import io.vertx.core.json.JsonObject;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.regions.Region;

class AssociationCheckTest {

    private static final String EKS = "GET https://eks.us-west-2.amazonaws.com/clusters/prod/pod-identity-associations";
    private static final String LIST = EKS + "?maxResults=100&namespace=shop&serviceAccount=cart";
    private static final String DESCRIBE = EKS + "/a-1";
    private static final String IAM = "POST https://iam.amazonaws.com/";
    private static final String ROLE = "arn:aws:iam::123456789012:role/teams/cart";
    private static final String GOOD = "{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"ec2.amazonaws.com\"},"
            + "\"Action\":\"sts:AssumeRole\"}," + TrustPolicy.STATEMENT + "]}";
    private static final Pod POD = PodChecksTest.pod("{\"metadata\":{\"namespace\":\"shop\",\"name\":\"cart-0\","
            + "\"creationTimestamp\":\"2026-01-01T00:00:00Z\"},\"spec\":{\"serviceAccountName\":\"cart\"}}");

    private final FakeWeb web = new FakeWeb();

    @Test
    void isContentWithAnAssociationWhoseRoleTrustsPods() {
        associated(1767225000.25).answer(IAM, 200, role(GOOD));

        assertThat(examine()).containsExactly(
                Finding.ok("The service account shop/cart has the association a-1 with " + ROLE),
                Finding.ok("The role trusts pods.eks.amazonaws.com with sts:AssumeRole and sts:TagSession"));
        assertThat(web.asked).allSatisfy(ask ->
                assertThat(ask.headers().get("Authorization")).contains("AWS4-HMAC-SHA256").doesNotContain("secret"));
        assertThat(web.asked.get(2).body()).contains("Action=GetRole&Version=2010-05-08&RoleName=cart");
        assertThat(web.asked.get(2).headers().get("Authorization")).contains("/us-east-1/iam/");
    }

    @Test
    void failsWithoutAnAssociationAndSaysHowToMakeOne() {
        web.answer(LIST, 200, "{\"associations\":[]}");

        assertThat(examine()).singleElement().satisfies(finding -> {
            assertThat(finding.status()).isEqualTo(Status.FAIL);
            assertThat(finding.remedy()).contains("Create one: aws eks create-pod-identity-association --cluster-name prod"
                    + " --namespace shop --service-account cart --role-arn ROLE-ARN");
        });
    }

    @Test
    void failsOnAPodThatWasMadeBeforeItsAssociation() {
        // 2026-01-01T00:01:00Z
        associated(1767225660).answer(IAM, 200, role(GOOD));

        assertThat(examine()).extracting(Finding::status).containsExactly(Status.OK, Status.FAIL, Status.OK);
        assertThat(examine().get(1).seen()).contains("2026-01-01T00:00:00Z, before its association at 2026-01-01T00:01:00Z");
    }

    @ParameterizedTest
    @CsvSource(delimiter = ';', value = {
        "[]; sts:AssumeRole and sts:TagSession",
        "{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"pods.eks.amazonaws.com\"},\"Action\":\"sts:AssumeRole\"};"
                + " sts:TagSession",
        "[{\"Effect\":\"Allow\",\"Principal\":{\"Service\":[\"ec2.amazonaws.com\"]},\"Action\":\"sts:*\"}];"
            + " sts:AssumeRole and sts:TagSession",
        "[{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"*\"},{\"Effect\":\"Deny\",\"Principal\":\"*\","
            + "\"Action\":\"STS:tag*\"}]; sts:TagSession"
    })
    void namesWhatTheTrustPolicyDoesNotAllow(String statements, String missing) {
        associated(0).answer(IAM, 200, role("{\"Statement\":" + statements + "}"));

        assertThat(examine()).last().satisfies(finding -> {
            assertThat(finding.status()).isEqualTo(Status.FAIL);
            assertThat(finding.seen()).isEqualTo(
                    "The trust policy of " + ROLE + " does not allow " + missing + " to pods.eks.amazonaws.com");
            assertThat(finding.remedy()).contains("Add this statement: " + TrustPolicy.STATEMENT);
        });
    }

    @Test
    void saysThatItDoesNotLookAtConditions() {
        associated(0).answer(IAM, 200, role("{\"Statement\":{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"pods.eks.amazonaws.com\"},"
                + "\"Action\":\"sts:*\",\"Condition\":{\"StringEquals\":{\"aws:SourceAccount\":\"123456789012\"}}}}"));

        assertThat(examine()).last().satisfies(finding -> {
            assertThat(finding.status()).isEqualTo(Status.OK);
            assertThat(finding.seen()).contains("conditions");
        });
    }

    @Test
    void skipsWhatTheCallerMayNotAsk() {
        web.answer(LIST, new ApiAnswer(403, Buffer.buffer("{}"), Optional.empty(), Optional.of("AccessDeniedException:")));
        assertThat(examine()).singleElement().satisfies(finding -> {
            assertThat(finding.status()).isEqualTo(Status.SKIP);
            assertThat(finding.remedy().orElseThrow()).contains("eks:ListPodIdentityAssociations");
        });

        associated(0).answer(IAM, 403, "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>");
        assertThat(examine()).last().satisfies(finding -> {
            assertThat(finding.status()).isEqualTo(Status.SKIP);
            assertThat(finding.seen()).contains("HTTP 403 AccessDenied");
            assertThat(finding.remedy().orElseThrow()).contains("iam:GetRole");
        });
    }

    @Test
    void failsOnARoleThatIsGoneAndOnAnswersThatAreNone() {
        associated(0).answer(IAM, 404, "<Code>NoSuchEntity</Code>");
        assertThat(examine()).last().extracting(Finding::status).isEqualTo(Status.FAIL);
        associated(0).answer(IAM, 200, "<html/>");
        assertThat(examine()).last().extracting(Finding::status).isEqualTo(Status.FAIL);
        associated(0).answer(IAM, 200, role("not JSON"));
        assertThat(examine()).last().extracting(Finding::status).isEqualTo(Status.FAIL);
    }

    @Test
    void skipsWithoutAClusterOrCredentials() {
        assertThat(new AssociationCheck(POD, Optional.empty(), Optional.of("prod")).examine())
                .extracting(Finding::status).containsExactly(Status.SKIP);
        assertThat(new AssociationCheck(POD, Optional.of(aws(web, "us-west-2")), Optional.empty()).examine())
                .extracting(Finding::status).containsExactly(Status.SKIP);
    }

    @ParameterizedTest
    @CsvSource({
        "cn-northwest-1, https://eks.cn-northwest-1.amazonaws.com.cn/, https://iam.cn-north-1.amazonaws.com.cn/, /cn-north-1/iam/",
        "us-gov-east-1, https://eks.us-gov-east-1.amazonaws.com/, https://iam.us-gov.amazonaws.com/, /us-gov-west-1/iam/",
        "us-iso-east-1, https://eks.us-iso-east-1.c2s.ic.gov/, https://iam.us-iso-east-1.c2s.ic.gov/, /us-iso-east-1/iam/"
    })
    void asksThePartitionsOwnServices(String region, String eks, String iam, String scope) {
        AwsCalls calls = aws(web, region);

        assertThat(catchThrowable(() -> calls.associations("prod", Optional.empty()))).isNotNull();
        assertThat(catchThrowable(() -> calls.trustPolicy("cart"))).isNotNull();

        assertThat(web.asked.get(0).url().toString()).startsWith(eks);
        assertThat(web.asked.get(1).url()).hasToString(iam);
        assertThat(web.asked.get(1).headers().get("Authorization")).contains(scope);
    }

    private FakeWeb associated(double madeAt) {
        return web.answer(LIST, 200, "{\"associations\":[{\"associationId\":\"a-1\",\"namespace\":\"shop\",\"serviceAccount\":\"cart\"}]}")
                .answer(DESCRIBE, 200, new JsonObject().put("association",
                        new JsonObject().put("roleArn", ROLE).put("createdAt", madeAt).put("tags", new JsonArray())).encode());
    }

    private static String role(String policy) {
        return "<GetRoleResponse><GetRoleResult><Role><AssumeRolePolicyDocument>"
                + URLEncoder.encode(policy, StandardCharsets.UTF_8).replace("+", "%20")
                + "</AssumeRolePolicyDocument></Role></GetRoleResult></GetRoleResponse>";
    }

    private List<Finding> examine() {
        return new AssociationCheck(POD, Optional.of(aws(web, "us-west-2")), Optional.of("prod")).examine();
    }

    static AwsCalls aws(FakeWeb web, String region) {
        return new AwsCalls(web, Region.of(region), AwsBasicCredentials.create("AKIDEXAMPLE", "secret"), Map.of());
    }
}
