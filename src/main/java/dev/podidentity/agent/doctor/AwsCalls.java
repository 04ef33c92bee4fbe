package dev.podidentity.agent.doctor;

import dev.podidentity.agent.apiserver.ApiAnswer;
import dev.podidentity.agent.apiserver.Callee;
import dev.podidentity.agent.doctor.SignedCalls.Body;
import dev.podidentity.agent.doctor.Web.Route;
import dev.podidentity.agent.outbound.CallFailure;
import dev.podidentity.agent.outbound.ProxyEnvironment;
import dev.podidentity.agent.outbound.TrustRoots;
import io.vertx.core.json.DecodeException;
import io.vertx.core.json.JsonObject;
import java.net.URI;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import software.amazon.awssdk.auth.credentials.AwsCredentials;
import software.amazon.awssdk.regions.PartitionMetadata;
import software.amazon.awssdk.regions.Region;

/** Calls EKS and IAM about associations and roles, with the caller's credentials. Blocks. */
final class AwsCalls {

    private static final Pattern POLICY =
            Pattern.compile("<AssumeRolePolicyDocument>(.*?)</AssumeRolePolicyDocument>", Pattern.DOTALL);
    private static final Pattern ERROR_CODE = Pattern.compile("<Code>([0-9A-Za-z]+)</Code>");
    private static final int FORBIDDEN = 403;
    private static final int NOT_FOUND = 404;
    /** Pages of 100, enough for the maximum number of associations of a cluster. */
    private static final int MOST_PAGES = 100;

    private final SignedCalls calls;
    private final Region region;
    private final AwsCredentials credentials;
    private final Map<String, String> environment;

    AwsCalls(Web web, Region region, AwsCredentials credentials, Map<String, String> environment) {
        this.calls = new SignedCalls(web);
        this.region = region;
        this.credentials = credentials;
        this.environment = environment;
    }

    /**
     * Returns the associations of a cluster.
     *
     * @param serviceAccount limits the result to this service account
     * @throws CallFailure if they cannot be listed; forbidden if the caller lacks the permission
     */
    List<Association> associations(String cluster, Optional<ServiceAccount> serviceAccount) throws CallFailure {
        String path = "/clusters/" + encoded(cluster) + "/pod-identity-associations";
        String filter = serviceAccount
                .map(one -> "&namespace=" + encoded(one.namespace) + "&serviceAccount=" + encoded(one.name))
                .orElse("");
        List<Association> found = new ArrayList<>();
        Optional<String> next = Optional.empty();
        for (int page = 0; page < MOST_PAGES; page++) {
            Tree answer = eks(path + "?maxResults=100" + filter + next.map(token -> "&nextToken=" + encoded(token)).orElse(""));
            answer.at("associations").each().forEach(one -> found.add(new Association(
                    one.at("associationId").text().orElse(""),
                    new ServiceAccount(one.at("namespace").text().orElse(""), one.at("serviceAccount").text().orElse("")))));
            next = answer.at("nextToken").text();
            if (next.isEmpty()) {
                break;
            }
        }
        return found;
    }

    /** Returns the details of an association, as in {@code DescribePodIdentityAssociation}. */
    Tree association(String cluster, String id) throws CallFailure {
        return eks("/clusters/" + encoded(cluster) + "/pod-identity-associations/" + encoded(id)).at("association");
    }

    private Tree eks(String pathAndQuery) throws CallFailure {
        URI base = endpoint("AWS_ENDPOINT_URL_EKS", "https://eks." + region.id() + "." + partition().dnsSuffix());
        ApiAnswer answer = make("GET", URI.create(base + pathAndQuery), Optional.empty(), "eks", region.id(), "EKS");
        if (!answer.ok()) {
            throw refused("EKS", answer, answer.errorType().orElse(""));
        }
        return new Tree(answer.json("associations"));
    }

    /**
     * Returns the trust policy of a role.
     *
     * @return empty if there is no such role in the caller's account
     */
    Optional<Tree> trustPolicy(String role) throws CallFailure {
        URI url = URI.create(endpoint("AWS_ENDPOINT_URL_IAM", iam()) + "/");
        Body body = new Body("application/x-www-form-urlencoded; charset=utf-8",
                "Action=GetRole&Version=2010-05-08&RoleName=" + encoded(role));
        ApiAnswer answer = make("POST", url, Optional.of(body), "iam", globalRegion(), "IAM");
        String text = answer.body().toString();
        if (answer.status() == NOT_FOUND) {
            return Optional.empty();
        }
        Matcher code = ERROR_CODE.matcher(text);
        if (!answer.ok()) {
            throw refused("IAM", answer, code.find() ? code.group(1) : "");
        }
        Matcher policy = POLICY.matcher(text);
        if (!policy.find()) {
            throw new CallFailure("The response of IAM has no trust policy", false);
        }
        try {
            return Optional.of(new Tree(new JsonObject(URLDecoder.decode(policy.group(1), StandardCharsets.UTF_8))));
        } catch (DecodeException | IllegalArgumentException e) {
            throw new CallFailure("The trust policy in the response of IAM is not JSON", false);
        }
    }

    private static CallFailure refused(String service, ApiAnswer answer, String error) {
        String code = error.replaceFirst(":.*", "").replaceAll("[^0-9A-Za-z]", "");
        return new CallFailure(service + " answers HTTP " + answer.status() + (code.isEmpty() ? "" : " " + code),
                answer.status() == FORBIDDEN || code.equals("AccessDenied") || code.equals("AccessDeniedException"));
    }

    private ApiAnswer make(String method, URI url, Optional<Body> body, String signingName, String signingRegion, String name)
            throws CallFailure {
        Callee callee = new Callee(name + " at " + url.getHost(), "check the network and the proxy", "set AWS_CA_BUNDLE");
        try {
            Route route = new Route(
                    new ProxyEnvironment(environment).proxyFor(url), TrustRoots.ofAwsCaBundle(environment), Optional.empty());
            return calls.make(method, url, body, credentials, signingName, signingRegion, route, callee);
        } catch (IllegalArgumentException e) {
            throw new CallFailure(e.getMessage(), false);
        }
    }

    private URI endpoint(String variable, String otherwise) {
        return Stream.of(variable, "AWS_ENDPOINT_URL")
                .map(environment::get)
                .filter(value -> value != null && !value.isBlank())
                .findFirst()
                .map(value -> URI.create(value.strip().replaceFirst("/+$", "")))
                .orElseGet(() -> URI.create(otherwise));
    }

    /** IAM is a single service in each partition. */
    private String iam() {
        return switch (partition().id()) {
            case "aws" -> "https://iam.amazonaws.com";
            case "aws-us-gov" -> "https://iam.us-gov.amazonaws.com";
            default -> "https://iam." + globalRegion() + "." + partition().dnsSuffix();
        };
    }

    private String globalRegion() {
        return switch (partition().id()) {
            case "aws" -> "us-east-1";
            case "aws-us-gov" -> "us-gov-west-1";
            case "aws-cn" -> "cn-north-1";
            case "aws-iso" -> "us-iso-east-1";
            case "aws-iso-b" -> "us-isob-east-1";
            default -> region.id();
        };
    }

    private PartitionMetadata partition() {
        return PartitionMetadata.of(region);
    }

    private static String encoded(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8);
    }

    /** The name of a service account. */
    record ServiceAccount(String namespace, String name) {

        /** Written out, because a native executable interprets these methods of a record. */
        @Override
        public boolean equals(Object other) {
            return other instanceof ServiceAccount that && namespace.equals(that.namespace) && name.equals(that.name);
        }

        @Override
        public int hashCode() {
            return 31 * namespace.hashCode() + name.hashCode();
        }

        @Override
        public String toString() {
            return namespace + "/" + name;
        }
    }

    /** An association in a list. */
    record Association(String id, ServiceAccount serviceAccount) {}
}
