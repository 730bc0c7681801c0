ardour {
  ["type"] = "EditorAction",
  name = "stemfix: Open comparison page",
  license = "GPL",
  author = "stemfix",
  description = [[Open the comparison page of this session's last result in the browser.]],
}

function factory () return function ()
  local ok, why = pcall (function ()
    assert (loadfile (ARDOUR.user_config_directory (-1) .. "/scripts/stemfix_lib.lua")) ().run ("open_comparison")
  end)
  if not ok then
    LuaDialog.Message ("stemfix", "stemfix can't be loaded: " .. tostring (why) .. ". Run: stemfix daw install ardour",
      LuaDialog.MessageType.Error, LuaDialog.ButtonType.Close):run ()
  end
end end
