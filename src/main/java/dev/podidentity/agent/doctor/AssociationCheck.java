package dev.podidentity.agent.doctor;

import dev.podidentity.agent.doctor.AwsCalls.Association;
import dev.podidentity.agent.doctor.AwsCalls.ServiceAccount;
import dev.podidentity.agent.outbound.CallFailure;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Checks that EKS has an association for the pod's service account, and that its role trusts EKS Pod Identity. */
final class AssociationCheck implements Check {

    private final Pod pod;
    private final Optional<AwsCalls> aws;
    private final Optional<String> cluster;

    /**
     * @param aws empty without a region or credentials
     * @param cluster the name of the cluster, if it is known
     */
    AssociationCheck(Pod pod, Optional<AwsCalls> aws, Optional<String> cluster) {
        this.pod = pod;
        this.aws = aws;
        this.cluster = cluster;
    }

    @Override
    public String name() {
        return "association";
    }

    @Override
    public List<Finding> examine() {
        if (cluster.isEmpty()) {
            return List.of(Finding.skip("The cluster's name is not known", "Pass --cluster-name"));
        }
        if (aws.isEmpty()) {
            return List.of(Finding.skip("There are no AWS credentials, or no region",
                    "Set AWS_REGION and AWS_ACCESS_KEY_ID, or export them: aws configure export-credentials --format env"));
        }
        ServiceAccount account = new ServiceAccount(pod.namespace(), pod.serviceAccount());
        List<Association> known;
        Tree association;
        try {
            known = aws.get().associations(cluster.get(), Optional.of(account));
            if (known.isEmpty()) {
                return List.of(Finding.fail("The service account " + account + " has no association in cluster " + cluster.get(),
                        "Create one: " + IrsaCheck.associate(cluster.get(), account, "ROLE-ARN")));
            }
            association = aws.get().association(cluster.get(), known.get(0).id());
        } catch (CallFailure failure) {
            return List.of(notAsked(failure, "eks:ListPodIdentityAssociations and eks:DescribePodIdentityAssociation"));
        }
        String role = association.at("roleArn").text().orElse("");
        List<Finding> findings = new ArrayList<>();
        findings.add(Finding.ok("The service account " + account + " has the association " + known.get(0).id() + " with " + role));
        madeBefore(association).ifPresent(findings::add);
        findings.add(trust(role));
        return findings;
    }

    private Optional<Finding> madeBefore(Tree association) {
        // EKS sends seconds since 1970, with a fraction.
        Optional<Instant> made = association.at("createdAt").value() instanceof Number seconds
                ? Optional.of(Instant.ofEpochMilli(Math.round(seconds.doubleValue() * 1000)))
                : Pod.instant(association.at("createdAt"));
        boolean before = made.isPresent() && pod.created().isPresent() && pod.created().get().isBefore(made.get());
        return before
                ? Optional.of(Finding.fail("The pod was created at " + pod.created().get() + ", before its association at " + made.get()
                                + ": nothing was injected",
                        "Create the pod again: kubectl -n " + pod.namespace() + " rollout restart WORKLOAD, such as deployment/web"))
                : Optional.empty();
    }

    private Finding trust(String arn) {
        try {
            // IAM takes the role name without its path.
            Optional<Tree> document = aws.orElseThrow().trustPolicy(arn.substring(arn.lastIndexOf('/') + 1));
            if (document.isEmpty()) {
                return Finding.fail("There is no role " + arn + " in the account of these AWS credentials",
                        "Create it, or run doctor with credentials of its account");
            }
            TrustPolicy policy = new TrustPolicy(document.get());
            if (!policy.missing().isEmpty()) {
                return Finding.fail("The trust policy of " + arn + " does not allow " + String.join(" and ", policy.missing())
                        + " to pods.eks.amazonaws.com", "Add this statement: " + TrustPolicy.STATEMENT);
            }
            return policy.conditional()
                    ? Finding.ok("The role trusts pods.eks.amazonaws.com under conditions, which doctor does not evaluate")
                    : Finding.ok("The role trusts pods.eks.amazonaws.com with sts:AssumeRole and sts:TagSession");
        } catch (CallFailure failure) {
            return notAsked(failure, "iam:GetRole");
        }
    }

    private static Finding notAsked(CallFailure failure, String actions) {
        return failure.forbidden()
                ? Finding.skip("These AWS credentials lack permission: " + failure.getMessage(), "Run doctor with credentials"
                + " that allow " + actions)
                : Finding.failed(failure);
    }
}
