// POST a DICOM file, read score and regions, save the mask. .NET Core 3.1 or newer, nothing else.
// In a folder of its own with segment.csproj:
//   dotnet run -- http://127.0.0.1:8000 mammogram.dcm mask.png
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Threading.Tasks;

static class Segment
{
    const int Tries = 5;
    static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(60);
    static readonly HttpClient Client = new HttpClient { Timeout = TimeSpan.FromSeconds(120) };

    static async Task<int> Main(string[] args)
    {
        try
        {
            using var result = await Ask(args[0], await File.ReadAllBytesAsync(args[1]));
            var root = result.RootElement;
            var hasMask = root.GetProperty("has_mask");
            Console.WriteLine(
                $"score {hasMask.GetProperty("score")}, threshold {hasMask.GetProperty("threshold")}");
            foreach (var region in root.GetProperty("regions").EnumerateArray())
            {
                if (!region.GetProperty("selected").GetBoolean()) continue;
                var corners = region.GetProperty("bbox").EnumerateArray().Select(each => each.GetInt32());
                var box = string.Join(",", corners);
                Console.WriteLine($"region {box} p {region.GetProperty("max_probability")}");
            }
            foreach (var warning in root.GetProperty("warnings").EnumerateArray())
                Console.WriteLine(
                    $"warning {warning.GetProperty("code")}: {warning.GetProperty("detail")}");
            var mask = root.GetProperty("renders").GetProperty("mask").GetBytesFromBase64();
            await File.WriteAllBytesAsync(args[2], mask);
            return 0;
        }
        catch (Exception error) when (error is HttpRequestException || error is IOException
            || error is TaskCanceledException)
        {
            Console.Error.WriteLine(error.Message);
            return 1;
        }
    }

    // Ask, and ask again while the service is busy, after as many seconds as it says.
    static async Task<JsonDocument> Ask(string url, byte[] file)
    {
        var waited = TimeSpan.Zero;
        for (var attempt = 1; ; attempt++)
        {
            using var body = new ByteArrayContent(file);
            body.Headers.ContentType = new MediaTypeHeaderValue("application/dicom");
            using var answer = await Client.PostAsync($"{url}/v1/segment?include=mask", body);
            var text = await answer.Content.ReadAsStringAsync();
            if (answer.IsSuccessStatusCode) return JsonDocument.Parse(text);
            var retry = answer.Headers.RetryAfter;
            var pause = retry?.Delta ?? (retry?.Date - DateTimeOffset.UtcNow)
                ?? TimeSpan.FromSeconds(1 << (attempt - 1));
            if (pause < TimeSpan.Zero) pause = TimeSpan.Zero;
            var status = (int)answer.StatusCode;
            var passing = status == 429 || status == 502 || status == 503;
            if (!passing || attempt == Tries || waited + pause > LongestWait)
                throw new HttpRequestException(ProblemOf(text) ?? $"HTTP status {status}");
            waited += pause;
            await Task.Delay(pause);
        }
    }

    // Read a problem document (RFC 9457): code is stable, detail is for people.
    static string? ProblemOf(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            var problem = document.RootElement;
            return $"{problem.GetProperty("status")} {problem.GetProperty("code")}: "
                + $"{problem.GetProperty("detail")} [request {problem.GetProperty("request_id")}]";
        }
        catch (Exception error) when (error is JsonException || error is KeyNotFoundException
            || error is InvalidOperationException)
        {
            return null;
        }
    }
}
