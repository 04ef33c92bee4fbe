package dev.podidentity.agent.doctor;

import dev.podidentity.agent.doctor.AwsCalls.Association;
import dev.podidentity.agent.doctor.AwsCalls.ServiceAccount;
import dev.podidentity.agent.outbound.CallFailure;
import io.vertx.core.json.JsonObject;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/** Lists the service accounts that use IAM roles for service accounts, and how to migrate each to EKS Pod Identity. */
final class IrsaCheck implements Check {

    private static final String ANNOTATION = "eks.amazonaws.com/role-arn";
    /** The role becomes part of commands that people paste, and anyone who can edit a service account chooses it. */
    private static final Pattern ROLE = Pattern.compile("arn:aws[a-z-]*:iam::[0-9]{12}:role/[0-9A-Za-z+=,.@_/-]{1,576}");
    private static final String PAGE = "?limit=500";
    private static final int MOST_PAGES = 1_000;

    private final Kube kube;
    private final Optional<AwsCalls> aws;
    private final Optional<String> cluster;

    /**
     * @param aws empty without a region or credentials
     * @param cluster the name of the cluster, if it is known
     */
    IrsaCheck(Kube kube, Optional<AwsCalls> aws, Optional<String> cluster) {
        this.kube = kube;
        this.aws = aws;
        this.cluster = cluster;
    }

    @Override
    public String name() {
        return "irsa";
    }

    @Override
    public List<Finding> examine() {
        List<Finding> findings = new ArrayList<>();
        try {
            List<Annotated> annotated = annotated();
            Optional<Set<ServiceAccount>> associated = associated(findings);
            moved(annotated, associated).ifPresent(findings::add);
            if (annotated.isEmpty()) {
                findings.add(Finding.ok("No service account has the annotation " + ANNOTATION));
                return findings;
            }
            Optional<List<Pod>> pods = pods(findings);
            annotated.forEach(one -> findings.add(finding(one, associated, pods)));
        } catch (CallFailure failure) {
            findings.add(Finding.failed(failure));
        }
        return findings;
    }

    private List<Annotated> annotated() throws CallFailure {
        List<Annotated> annotated = new ArrayList<>();
        for (Tree account : all("/api/v1/serviceaccounts")) {
            Optional<String> role = account.at("metadata", "annotations", ANNOTATION).text();
            role.ifPresent(arn -> annotated.add(new Annotated(
                    new ServiceAccount(
                            account.at("metadata", "namespace").text().orElse(""), account.at("metadata", "name").text().orElse("")),
                    arn)));
        }
        return annotated;
    }

    private List<Tree> all(String path) throws CallFailure {
        List<Tree> items = new ArrayList<>();
        String next = "";
        for (int page = 0; page < MOST_PAGES; page++) {
            Optional<JsonObject> list = kube.get(path + PAGE + next);
            Tree found = new Tree(list.orElseGet(JsonObject::new));
            items.addAll(found.at("items").each());
            Optional<String> token = found.at("metadata", "continue").text().filter(text -> !text.isEmpty());
            if (token.isEmpty()) {
                break;
            }
            next = "&continue=" + URLEncoder.encode(token.get(), StandardCharsets.UTF_8);
        }
        return items;
    }

    /**
     * Returns the service accounts with an association; if they are unknown, returns empty and adds a finding that says why.
     */
    private Optional<Set<ServiceAccount>> associated(List<Finding> findings) {
        if (cluster.isEmpty() || aws.isEmpty()) {
            findings.add(Finding.skip("It is not known which ones already have an association, because doctor lacks "
                    + (cluster.isEmpty() ? "the cluster's name" : "AWS credentials or a region"),
                    cluster.isEmpty() ? "Pass --cluster-name" : "Set AWS_REGION and AWS_ACCESS_KEY_ID"));
            return Optional.empty();
        }
        try {
            Set<ServiceAccount> accounts = new HashSet<>();
            for (Association association : aws.get().associations(cluster.get(), Optional.empty())) {
                accounts.add(association.serviceAccount());
            }
            return Optional.of(accounts);
        } catch (CallFailure failure) {
            findings.add(Finding.skip("It is not known which ones already have an association: " + failure.getMessage(),
                    "Run doctor with credentials that allow eks:ListPodIdentityAssociations"));
            return Optional.empty();
        }
    }

    private static Optional<Finding> moved(List<Annotated> annotated, Optional<Set<ServiceAccount>> associated) {
        List<ServiceAccount> left = annotated.stream().map(Annotated::account).toList();
        List<String> moved = associated.orElse(Set.of()).stream()
                .filter(account -> !left.contains(account))
                .map(ServiceAccount::toString)
                .sorted()
                .toList();
        return moved.isEmpty()
                ? Optional.empty()
                : Optional.of(Finding.ok("Service accounts that use only EKS Pod Identity: " + String.join(", ", moved)));
    }

    private Optional<List<Pod>> pods(List<Finding> findings) {
        try {
            return Optional.of(all("/api/v1/pods").stream().map(Pod::new).toList());
        } catch (CallFailure failure) {
            findings.add(Finding.skip("It is not known which pods use which credentials: " + failure.getMessage(), "Run doctor with permission to list pods"));
            return Optional.empty();
        }
    }

    private Finding finding(Annotated one, Optional<Set<ServiceAccount>> associated, Optional<List<Pod>> pods) {
        ServiceAccount account = one.account;
        if (!ROLE.matcher(one.role).matches()) {
            return Finding.warn("The annotation " + ANNOTATION + " of the service account " + account + " is not the ARN of a role",
                    "Correct or remove the annotation");
        }
        boolean known = associated.map(all -> all.contains(account)).orElse(false);
        String inCluster = cluster.orElse("CLUSTER");
        List<Pod> own = pods.orElse(List.of()).stream()
                .filter(pod -> pod.namespace().equals(account.namespace()) && pod.serviceAccount().equals(account.name()))
                .toList();
        long injected = own.stream().filter(IrsaCheck::injected).count();
        List<String> steps = new ArrayList<>();
        if (!known) {
            steps.add("Add to the trust policy of " + one.role + ", in addition to the statement for IRSA: " + TrustPolicy.STATEMENT);
            steps.add(associate(inCluster, account, one.role));
        }
        steps.add("kubectl -n " + account.namespace() + " annotate serviceaccount " + account.name() + " " + ANNOTATION + "-");
        steps.add("Create its pods again: kubectl -n " + account.namespace() + " rollout restart WORKLOAD, such as deployment/web; each"
                + " pod keeps its credentials until then");
        steps.add("When 'eks-pod-identity-agent doctor --pod' finds no problems with them, remove the statement for IRSA from"
                + " the trust policy");
        String seen = "The service account " + account + " uses " + one.role + " by IRSA"
                + (known ? ", and already has an association" : associated.isPresent() ? ", and has no association" : "")
                + pods.map(all -> "; " + injected + " of its " + own.size() + " pods have EKS Pod Identity injected").orElse("");
        return Finding.warn(seen, "Migrate it without downtime, in this order").with(numbered(steps));
    }

    private static List<String> numbered(List<String> steps) {
        List<String> lines = new ArrayList<>();
        steps.forEach(step -> lines.add(lines.size() + 1 + ". " + step));
        return lines;
    }

    private static boolean injected(Pod pod) {
        return pod.containers().stream().anyMatch(container -> container.environment().containsKey(InjectionCheck.URI));
    }

    /** Returns the command that creates the association. */
    static String associate(String cluster, ServiceAccount account, String role) {
        return "aws eks create-pod-identity-association --cluster-name " + cluster + " --namespace " + account.namespace()
                + " --service-account " + account.name() + " --role-arn " + role;
    }

    private record Annotated(ServiceAccount account, String role) {}
}
