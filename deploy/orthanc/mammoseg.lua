-- Sends every new mammogram to mammoseg; the results come back by STOW-RS into the same study.
--
-- Orthanc runs Lua in one place: while a script waits, nearly all of Orthanc's REST API waits with
-- it. This one therefore never waits. It has Orthanc's job engine send each instance, in a thread of
-- its own, to mammoseg's inbox, which answers as soon as the instance is safely stored.
--
-- Needs the DICOMweb plug-in, and a server named as below in DicomWeb.Servers. See README.md.

local SERVER = 'mammoseg'
local MODALITIES = { MG = true }
local OWN = 'mammoseg project'       -- Manufacturer of the results
local ATTEMPTS = 100                 -- with the waits below about 15 hours
local FIRST_WAIT, MAX_WAIT = 5, 600 -- seconds; doubled after each failure
local CATCH_UP = 10000               -- changes looked at when Orthanc starts
local STATE = '3700'                 -- number of our metadata; any from 1024 on that is free

local waiting = {} -- instance -> { attempts, since, due }
local sending = {} -- job -> { instance, attempts }

local function log(event, instance, more)
  print('mammoseg: ' .. event .. ' ' .. instance .. (more and ' ' .. more or ''))
end

local function remember(instance, state)
  -- The instance may have been deleted meanwhile.
  pcall(RestApiPut, '/instances/' .. instance .. '/metadata/' .. STATE, state)
end

local function failed(instance, attempts)
  if attempts >= ATTEMPTS then
    remember(instance, 'given-up')
    log('given up', instance, 'after ' .. attempts .. ' attempts')
    return
  end
  local wait = math.min(FIRST_WAIT * 2 ^ math.min(attempts - 1, 16), MAX_WAIT)
  waiting[instance] = { attempts = attempts, since = os.time(), due = os.time() + wait }
  log('not sent', instance, 'attempt ' .. attempts .. ', next in ' .. math.floor(wait) .. ' s')
end

local function send(instance, attempts)
  local order = DumpJson({ Resources = { instance }, Synchronous = false })
  local asked, answer = pcall(RestApiPost, '/dicom-web/servers/' .. SERVER .. '/stow', order, false)
  local job = asked and answer and ParseJson(answer)
  if job and job['ID'] then
    sending[job['ID']] = { instance = instance, attempts = attempts + 1 }
  else
    failed(instance, attempts + 1)
  end
end

local function send_due(is_back)
  local due, now = {}, os.time()
  for instance, state in pairs(waiting) do
    if state.due <= now or (is_back and state.since + FIRST_WAIT <= now) then
      due[#due + 1] = instance
    end
  end
  for _, instance in ipairs(due) do
    local attempts = waiting[instance].attempts
    waiting[instance] = nil
    send(instance, attempts)
  end
end

function OnStoredInstance(instance, tags, metadata, origin)
  if MODALITIES[tags['Modality']] and tags['Manufacturer'] ~= OWN then
    remember(instance, 'pending')
    send(instance, 0)
  end
  send_due()
end

function OnJobSuccess(job)
  local sent = sending[job]
  if sent == nil then return end
  sending[job] = nil
  remember(sent.instance, 'sent')
  log('sent', sent.instance)
  -- The service is there: who failed a while ago need not wait longer.
  send_due(true)
end

function OnJobFailure(job)
  local sent = sending[job]
  if sent == nil then return end
  sending[job] = nil
  failed(sent.instance, sent.attempts)
end

-- Called every LuaHeartBeatPeriod seconds, by Orthanc 1.11.1 and later.
function OnHeartBeat()
  send_due()
end

-- Takes up what was pending when Orthanc ended. Called when Orthanc has started.
function Initialize()
  local last = ParseJson(RestApiGet('/changes?last'))['Last']
  local since = math.max(0, last - CATCH_UP)
  while since < last do
    local page = ParseJson(RestApiGet(string.format('/changes?since=%d&limit=100', since)))
    for _, change in ipairs(page['Changes']) do
      if change['ChangeType'] == 'NewInstance' then
        local found, metadata = pcall(RestApiGet, '/instances/' .. change['ID'] .. '/metadata?expand')
        if found and metadata and ParseJson(metadata)[STATE] == 'pending' then
          waiting[change['ID']] = { attempts = 0, since = 0, due = 0 }
        end
      end
    end
    if page['Done'] or page['Last'] <= since then break end
    since = page['Last']
  end
  send_due()
end
