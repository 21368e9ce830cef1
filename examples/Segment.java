// POST a DICOM file, read score and regions, save the mask. Java 17 or newer, and Jackson.
//   java -cp 'jackson/*' Segment.java http://127.0.0.1:8000 mammogram.dcm mask.png
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Base64;
import java.util.Set;

class Segment {
    static final int TRIES = 5;
    static final long LONGEST_WAIT_S = 60;
    static final Set<Integer> PASSING = Set.of(429, 502, 503);
    static final ObjectMapper JSON = new ObjectMapper();

    /** Ask, and ask again while the service is busy, after as many seconds as it says. */
    static JsonNode segment(String url, Path file) throws IOException, InterruptedException {
        var client = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(Duration.ofSeconds(5))
            .build();
        var request = HttpRequest.newBuilder(URI.create(url + "/v1/segment?include=mask"))
            .header("Content-Type", "application/dicom")
            .timeout(Duration.ofSeconds(120))
            .POST(BodyPublishers.ofFile(file))
            .build();
        long waited = 0;
        for (int attempt = 1; ; attempt++) {
            HttpResponse<byte[]> answer = client.send(request, BodyHandlers.ofByteArray());
            if (answer.statusCode() == 200) {
                return JSON.readTree(answer.body());
            }
            long pause = answer.headers().firstValue("Retry-After")
                .filter(text -> text.matches("\\d{1,6}")).map(Long::parseLong)
                .orElse(1L << (attempt - 1));
            boolean passing = PASSING.contains(answer.statusCode());
            if (!passing || attempt == TRIES || waited + pause > LONGEST_WAIT_S) {
                throw new IOException(problemOf(answer));
            }
            waited += pause;
            Thread.sleep(Duration.ofSeconds(pause).toMillis());
        }
    }

    /** Read a problem document (RFC 9457): code is stable, detail is for people. */
    static String problemOf(HttpResponse<byte[]> answer) {
        try {
            JsonNode problem = JSON.readTree(answer.body());
            return "%s %s: %s [request %s]".formatted(
                problem.required("status").asText(), problem.required("code").asText(),
                problem.required("detail").asText(), problem.required("request_id").asText());
        } catch (IOException | IllegalArgumentException notOne) {
            return "HTTP status " + answer.statusCode();
        }
    }

    public static void main(String[] args) throws InterruptedException {
        try {
            JsonNode result = segment(args[0], Path.of(args[1]));
            JsonNode hasMask = result.get("has_mask");
            System.out.printf("score %s, threshold %s%n",
                hasMask.get("score").asText(), hasMask.get("threshold").asText());
            for (JsonNode region : result.get("regions")) {
                if (region.get("selected").asBoolean()) {
                    JsonNode box = region.get("bbox");
                    System.out.printf("region %d,%d,%d,%d p %s%n",
                        box.get(0).asInt(), box.get(1).asInt(), box.get(2).asInt(),
                        box.get(3).asInt(), region.get("max_probability").asText());
                }
            }
            for (JsonNode warning : result.get("warnings")) {
                System.out.printf("warning %s: %s%n",
                    warning.get("code").asText(), warning.get("detail").asText());
            }
            byte[] mask = Base64.getDecoder().decode(result.get("renders").get("mask").asText());
            Files.write(Path.of(args[2]), mask);
        } catch (IOException error) {
            System.err.println(error.getMessage());
            System.exit(1);
        }
    }
}
